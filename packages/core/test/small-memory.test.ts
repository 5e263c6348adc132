import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const smallMemory = fileURLToPath(new URL('../src/small-memory.ts', import.meta.url));

// Objects that live for a while, as those of tasks do: they are what lets V8 enlarge the young generation.
const program = `
const { getHeapSpaceStatistics } = require('node:v8');
let largest = 0;
for (let round = 0, kept = []; round < 200; round++) {
  kept.push(Array.from({ length: 10_000 }, (_, number) => ({ number })));
  if (kept.length > 10) kept = [];
  largest = Math.max(largest, getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_size);
}
console.log(largest / 1024 / 1024);
`;

/** How large the young generation became, in MB. */
async function youngGenerationMb(...flags: string[]): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, '--eval', program]);
  return Number(stdout);
}

test('the young generation stays small, unless its size was chosen', async () => {
  expect(await youngGenerationMb()).toBeGreaterThan(24);
  expect(await youngGenerationMb('--import', smallMemory)).toBeLessThan(12);
  expect(await youngGenerationMb('--max-semi-space-size=16', '--import', smallMemory)).toBeGreaterThan(24);
});
