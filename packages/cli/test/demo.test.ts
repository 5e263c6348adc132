import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBench, type Bench } from './support/ocm.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

test('ocm demo runs twelve tasks, reports its isolation and leaves nothing', async () => {
  const own = join(String(bench.env['HOME']), '.config', 'opencode');
  await mkdir(own, { recursive: true });
  await writeFile(join(own, 'opencode.json'), '{ "model": "decoy/decoy" }');
  await using run = bench.start(['demo']);
  expect(await run.exit, run.stderr).toBe(0);
  expect(run.stderr.match(/^finished \S+ succeeded /gm)).toHaveLength(12);
  expect(run.stdout).toMatch(/^TASK +OUTCOME +TIME +TOKENS +ANSWER\nexplain-retry +succeeded +/);
  expect(run.stdout).toContain(
    '\nPatches (git), each from a clone of its own:\n  fix-rounding     +1  -1  src/money.js\n  add-license     +16  -0  LICENSE\n',
  );
  expect(run.stdout).toMatch(/^Server: [\d.]+ MiB of memory at most; /m);
  expect(run.stdout).toMatch(/^Result: 12 of 12 tasks succeeded; [\d,]+ tokens; /m);
  if (process.platform === 'linux') expect(run.stdout).toContain('Isolation: all 6 checks of this run passed; nothing left behind');
  for (const name of ['user-directories', 'environment', 'open-files', 'processes', 'state', 'workspaces'])
    expect(run.stdout).toMatch(new RegExp(`^ {2}[✓?] ${name}: `, 'm'));
  expect(run.stdout).toContain('(1 exist, ');
  expect(await readFile(join(own, 'opencode.json'), 'utf8')).toBe('{ "model": "decoy/decoy" }');
  await bench.expectNothingLeft();
});
