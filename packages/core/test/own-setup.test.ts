import { expect, test } from 'vitest';
import { startBench } from './support/server.ts';
import { by } from './support/tested.ts';

// What a user's own setup means in plain opencode, where opencode 1 and 2 differ in it. For opencode 1 `fidelity.test.ts` compares far more.

test('a CLAUDE.md of the workspace reaches the model where opencode reads it itself', async () => {
  await using bench = await startBench([], {}, { 'CLAUDE.md': 'says the file for Claude', 'CONTEXT.md': 'says the context' });
  await (await bench.server.createSession()).prompt('hello');
  const { system } = bench.model.turnCalls.at(-1)!;
  expect([system.includes('says the file for Claude'), system.includes('says the context')]).toEqual([by({ v1: true, v2: false }), false]);
});
