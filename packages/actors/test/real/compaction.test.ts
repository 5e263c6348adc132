import { launchServer } from '@opencode-manager/core';
import { startScriptedModel, temporaryWorkspace } from '@opencode-manager/testing';
import { expect, test } from 'vitest';
import { createSessionPool } from '../support/pool.ts';

test('a turn that opencode compacts half-way goes on, and its last answer is the result', async () => {
  const full = { inputTokens: 60_000, outputTokens: 10 };
  await using model = await startScriptedModel({
    model: { contextTokens: 50_000, outputTokens: 4000 },
    rules: [
      {
        when: { user: 'fill the context' },
        reply: [{ toolCalls: [{ name: 'bash', arguments: { command: 'echo x', description: 'x' } }], usage: full }, 'too early'],
      },
      { reply: 'All done after the summary.' },
    ],
  });
  await using workspace = await temporaryWorkspace();
  await using server = await launchServer({ directory: workspace.path, opencodeConfig: { ...model.opencodeConfig() } });
  await using pool = await createSessionPool({ server });
  const result = await pool.run({ prompt: 'fill the context' });
  expect(result).toMatchObject({ outcome: 'succeeded', output: 'All done after the summary.' });
  expect(model.calls.some(({ purpose }) => purpose === 'summary')).toBe(true);
});
