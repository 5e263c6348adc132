import { describe } from 'vitest';
import { isV2 } from '../support/tested.ts';
import { describeProtocol } from './contract.ts';

describe.skipIf(isV2)('opencode 1.x (skipped where opencode 2 is tested)', () => {
  describeProtocol({
    name: 'v1',
    calls: {
      shell: (command) => ({ name: 'bash', arguments: { command, description: 'run it' } }),
      write: (filePath, content) => ({ name: 'write', arguments: { filePath, content } }),
      subAgent: (prompt) => ({ name: 'task', arguments: { description: 'sub', prompt, subagent_type: 'general' } }),
      question: (question, labels) => ({
        name: 'question',
        arguments: { questions: [{ question, header: 'One', options: labels.map((label) => ({ label, description: `takes ${label}` })) }] },
      }),
      todos: (content) => ({ name: 'todowrite', arguments: { todos: [{ content, status: 'pending', priority: 'high' }] } }),
    },
    summary: 'All in short.',
    opencodeConfig: {
      permission: { bash: { '*': 'allow', 'touch *': 'ask' }, task: 'allow' },
      command: { shout: { template: 'say $1' } },
    },
  });
});
