import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBench, type Bench } from './support/ocm.ts';

let bench: Bench;
let file: string;
beforeAll(async () => {
  bench = await openBench({ rules: [{ reply: { text: 'Said.', usage: { inputTokens: 900, outputTokens: 100 } } }] });
  file = join(bench.root, 'tasks.jsonl');
  await writeFile(file, Array.from({ length: 6 }, (_, index) => `{"id": "t${index + 1}", "prompt": "say ${index + 1}"}\n`).join(''));
});
afterAll(() => bench[Symbol.asyncDispose]());

async function ocm(...args: string[]) {
  await using run = bench.start([...args, '--directory', bench.workspace.path, '--json']);
  const exitCode = await run.exit;
  return { exitCode, records: run.records, stderr: run.stderr };
}
const begin = (...args: string[]) => ocm('run', file, '--opencode-config', bench.configFile, ...args);

test('a run ends with exit code 3 before it takes more than it may, and goes on when the limit is raised', async () => {
  const limited = await begin('--concurrency', '2', '--max-tokens', '3500');
  expect(limited.exitCode).toBe(3);
  expect(limited.records.at(-1)).toMatchObject({ type: 'done', succeeded: 3, not_started: 3, reason: 'over_budget', exit_code: 3 });
  expect(limited.stderr).toContain('The run has used 3000 tokens of 3500 tokens, and the next task is expected to take more than is left.');
  expect(bench.model.turnCalls).toHaveLength(3);
  const raised = await ocm('resume', '--max-tokens', '10000');
  expect([raised.exitCode, raised.records.at(-1)]).toEqual([0, expect.objectContaining({ succeeded: 6, not_started: 0, reason: 'done' })]);
  expect(bench.model.turnCalls).toHaveLength(6);
});

test('a limit in dollars is refused where no price is known, and told before the start', async () => {
  const refused = await begin('--no-run-dir', '--max-usd', '1');
  expect([refused.exitCode, refused.stderr]).toEqual([
    2,
    expect.stringContaining('MODEL_UNPRICED: Task t1: opencode knows no price of scripted/model'),
  ]);
  const prices = join(bench.root, 'prices.json');
  await writeFile(prices, JSON.stringify({ 'scripted/model': { input: 1000, output: 1000 } }));
  const preview = await begin('--dry-run', '--max-usd', '1', '--prices', prices);
  expect(preview.records.at(-1)).toMatchObject({ type: 'plan', max_usd: 1, max_tokens: null });
  const priced = await begin('--no-run-dir', '--concurrency', '1', '--max-usd', '2.5', '--prices', prices);
  expect([priced.exitCode, priced.records.at(-1)]).toEqual([
    3,
    expect.objectContaining({ succeeded: 2, cost_usd: 2, reason: 'over_budget' }),
  ]);
});
