import { startScriptedModel, temporaryWorkspace } from '@opencode-manager/testing';
import { expect, it } from 'vitest';

// In a project of your own: `launchServer` of @opencode-manager/core, or any other way to start opencode.
import { startOpencode } from '../test/support/opencode.ts';
import { writeChangelog } from './changelog-bot.ts';

it('writes the entry into the file and tries again when the provider refuses once', async () => {
  await using workspace = await temporaryWorkspace({ files: { 'CHANGELOG.md': '# Changelog\n' } });
  await using model = await startScriptedModel({
    rules: [
      { name: 'refusal', when: { user: 'changelog' }, times: 1, reply: { error: { status: 400, message: 'Not today' } } },
      {
        name: 'entry',
        when: { user: /changelog entry of version (\S+)\./ },
        reply: [
          { toolCalls: [{ name: 'bash', arguments: { command: 'echo "## {{user.1}}" >> CHANGELOG.md', description: 'Add the entry' } }] },
          'Wrote the entry of {{user.1}}.',
        ],
      },
    ],
  });
  await using server = await startOpencode({ directory: workspace.path, config: model.opencodeConfig() });

  await expect(writeChangelog(server, '1.3.0')).resolves.toBe('Wrote the entry of 1.3.0.');

  expect(model.turnCalls.map(({ rule, outcome }) => [rule, outcome])).toEqual([
    ['refusal', 'failed'],
    ['entry', 'completed'],
    ['entry', 'completed'],
  ]);
  await expect(workspace.changedFiles()).resolves.toEqual(['CHANGELOG.md']);
  await expect(workspace.read('CHANGELOG.md')).resolves.toBe('# Changelog\n## 1.3.0\n');
});
