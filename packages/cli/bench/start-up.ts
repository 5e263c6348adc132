// What a command line costs before it does anything: the command as it is installed, its shell included, beside a node that runs nothing.
//
//   pnpm bench start-up
import { spawnSync } from 'node:child_process';
import { cpuSecondsOf, median, ocm, ocmEnvironment, runCase, type Metrics, type Settings } from '@opencode-manager/bench';

await runCase({
  'ocm --help': (settings) => start(ocm, ['--help'], settings),
  'ocm --version': (settings) => start(ocm, ['--version'], settings),
  'node -e 0': (settings) => start(process.execPath, ['-e', '0'], settings),
});

async function start(command: string, args: readonly string[], { starts = 20 }: Settings): Promise<Metrics> {
  run(command, args);
  const before = await cpuSecondsOf('self', 'children');
  const timesMs = Array.from({ length: starts }, () => run(command, args));
  const cpuMs = ((await cpuSecondsOf('self', 'children')) - before) * 1000;
  return { wallMs: median(timesMs), cpuMs: cpuMs / starts };
}

function run(command: string, args: readonly string[]): number {
  const startedAtMs = performance.now();
  const { status, stderr } = spawnSync(command, [...args], { env: ocmEnvironment, stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  if (status !== 0) throw new Error(`exit code ${status}: ${stderr}`);
  return performance.now() - startedAtMs;
}
