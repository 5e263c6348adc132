// What a command line costs before it does anything: the built command beside a node that runs nothing.
//
//   pnpm bench start-up
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { cpuSecondsOf, median, runCase, type Metrics, type Settings } from '@opencode-manager/bench';

const bin = fileURLToPath(new URL('../dist/bin.js', import.meta.url));

await runCase({
  'ocm --help': (settings) => start([bin, '--help'], settings),
  'ocm --version': (settings) => start([bin, '--version'], settings),
  'node -e 0': (settings) => start(['-e', '0'], settings),
});

async function start(args: readonly string[], { starts = 20 }: Settings): Promise<Metrics> {
  run(args);
  const before = await cpuSecondsOf('self', 'children');
  const timesMs = Array.from({ length: starts }, () => run(args));
  const cpuMs = ((await cpuSecondsOf('self', 'children')) - before) * 1000;
  return { wallMs: median(timesMs), cpuMs: cpuMs / starts };
}

function run(args: readonly string[]): number {
  const startedAtMs = performance.now();
  const { status, stderr } = spawnSync(process.execPath, [...args], { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  if (status !== 0) throw new Error(`exit code ${status}: ${stderr}`);
  return performance.now() - startedAtMs;
}
