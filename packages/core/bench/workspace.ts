// What the check of a workspace before each turn takes: nothing has changed since the turn before, as nearly always.
//
//   pnpm bench workspace
import { mkdir, realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { median, processCpuUs, runCase, threadCpuUs, type Metrics, type Settings } from '@opencode-manager/bench';
import { temporaryWorkspace } from '@opencode-manager/testing';
import { createWorkspaces, gitEnvironment } from '../src/isolation/index.ts';

const plain = { 'AGENTS.md': '# Rules\n'.repeat(100), 'opencode.json': '{ "$schema": "https://opencode.ai/config.json" }\n' };

await runCase({
  'a repository': (settings) => measure(plain, '.', settings),
  'four directories below its root': (settings) => measure(plain, 'packages/one/src/inner', settings),
  'with 100 commands': (settings) => measure({ ...plain, ...commands(100) }, '.', settings),
});

function commands(count: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`.opencode/command/part-${index % 10}/c${index}.md`, 'Say hello.\n']),
  );
}

async function measure(files: Record<string, string>, below: string, { turns = 500, atOnce = 100 }: Settings): Promise<Metrics> {
  await using repository = await temporaryWorkspace({ files });
  await mkdir(join(repository.path, below), { recursive: true });
  await writeFile(join(repository.path, below, 'file.ts'), '');
  const directory = await realpath(join(repository.path, below));
  const workspaces = createWorkspaces({
    projectConfig: 'instructions',
    instructionFiles: ['AGENTS.md'],
    gitEnvironment: gitEnvironment({ directory }),
  });
  const firstMs = await timed(() => workspaces.beginTurn(directory));
  // A file that has just been written is read again.
  for (let until = performance.now() + 300; performance.now() < until;) await workspaces.beginTurn(directory);
  const [cpuUs, threadUs] = [processCpuUs(), threadCpuUs()];
  const each: number[] = [];
  for (let turn = 0; turn < turns; turn += 1) each.push(await timed(() => workspaces.beginTurn(directory)));
  const perTurn = { cpuMsPerTurn: (processCpuUs() - cpuUs) / 1000 / turns, mainThreadMsPerTurn: (threadCpuUs() - threadUs) / 1000 / turns };
  const sharedMs = await timed(() => Promise.all(Array.from({ length: atOnce }, () => workspaces.beginTurn(directory))));
  return { firstMs, turnMs: median(each), ...perTurn, sharedMs };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now();
  await work();
  return performance.now() - startedAtMs;
}
