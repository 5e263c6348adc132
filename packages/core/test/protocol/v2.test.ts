import { describe } from 'vitest';
import { opencode2, without2 } from '../support/opencode-2.ts';
import { describeProtocol } from './contract.ts';

describe.skipIf(opencode2 === undefined)(`opencode 2.x${without2}`, () => {
  describeProtocol({
    name: 'v2',
    ...(opencode2 !== undefined && { binary: opencode2 }),
    calls: {
      shell: (command) => ({ name: 'shell', arguments: { command } }),
      write: (path, content) => ({ name: 'write', arguments: { path, content } }),
      subAgent: (prompt) => ({ name: 'subagent', arguments: { agent: 'general', description: 'sub', prompt } }),
      question: (question, labels) => ({
        name: 'question',
        arguments: { questions: [{ question, header: 'One', options: labels.map((label) => ({ label, description: `takes ${label}` })) }] },
      }),
      todos: () => ({ name: 'shell', arguments: { command: 'true' } }),
    },
    // Without one of its headings, opencode takes a summary for none.
    summary: '## Objective\n- All in short.',
    opencodeConfig: {
      permissions: [{ action: 'shell', resource: 'touch *', effect: 'ask' }],
      command: { shout: { template: 'say $1' } },
    },
  });
});
