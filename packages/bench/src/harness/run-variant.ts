import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Metrics, Settings } from '../case/run-case.ts';
import { repository } from './machine.ts';
import type { Benchmark } from './types.ts';

const defaultDeadlineMs = 120_000;

/** Runs one variant in a process of its own. @throws Error when it fails or takes too long; what it started ends with it. */
export async function runVariant(benchmark: Benchmark, variant: string, settings: Settings): Promise<Metrics> {
  const flags = [...(benchmark.sources ? ['--conditions=@opencode-manager/source'] : []), ...(benchmark.flags ?? [])];
  const child = spawn(process.execPath, [...flags, benchmark.file, variant, JSON.stringify(settings)], {
    cwd: repository,
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that a run that hangs takes its servers with it.
    detached: true,
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] = (output[name] + text).slice(-8192);
    });
  }
  const killed = endGroupLater(child.pid!, benchmark.deadlineMs ?? defaultDeadlineMs);
  const [code] = (await once(child, 'close')) as [number | null];
  if (killed()) throw new Error(`${benchmark.name}, ${variant}: not over after its deadline. ${output.stderr}`);
  if (code !== 0) throw new Error(`${benchmark.name}, ${variant}: exit code ${code}. ${output.stderr}`);
  return JSON.parse(output.stdout.trim().split('\n').at(-1)!) as Metrics;
}

/** Ends a process group at its deadline, or with this process; the result says, once, whether the deadline passed. */
function endGroupLater(pid: number, deadlineMs: number): () => boolean {
  let passed = false;
  const kill = () => {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // Gone already.
    }
  };
  const timer = setTimeout(() => {
    passed = true;
    kill();
  }, deadlineMs);
  process.once('exit', kill);
  return () => {
    clearTimeout(timer);
    process.removeListener('exit', kill);
    return passed;
  };
}
