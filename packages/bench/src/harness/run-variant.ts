import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Metrics, Settings } from '../case/run-case.ts';
import { repository } from './machine.ts';
import type { Benchmark } from './types.ts';

const defaultDeadlineMs = 120_000;

/** The last line holds every round of every variant. */
const maxOutputCharacters = 1024 * 1024;

/** Runs one variant in a process of its own. @throws Error when it fails or takes too long; what it started ends with it. */
export function runVariant(benchmark: Benchmark, variant: string, settings: Settings): Promise<Metrics> {
  return runProgram<Metrics>(benchmark, variant, variant, settings);
}

/** Runs so many rounds of each variant in one process, turn and turn about. @throws Error as {@link runVariant} */
export function runTogether(
  benchmark: Benchmark,
  rounds: Readonly<Record<string, number>>,
  settings: Settings,
): Promise<Readonly<Record<string, readonly Metrics[]>>> {
  return runProgram(benchmark, Object.keys(rounds).join(', '), JSON.stringify(rounds), settings);
}

async function runProgram<Output>(benchmark: Benchmark, label: string, choice: string, settings: Settings): Promise<Output> {
  const flags = [...(benchmark.sources ? ['--conditions=@opencode-manager/source'] : []), ...(benchmark.flags ?? [])];
  const child = spawn(process.execPath, [...flags, benchmark.file, choice, JSON.stringify(settings)], {
    cwd: repository,
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that a run that hangs takes its servers with it.
    detached: true,
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] = (output[name] + text).slice(-maxOutputCharacters);
    });
  }
  const killed = endGroupLater(child.pid!, benchmark.deadlineMs ?? defaultDeadlineMs);
  const [code] = (await once(child, 'close')) as [number | null];
  if (killed()) throw new Error(`${benchmark.name}, ${label}: not over after its deadline. ${output.stderr}`);
  if (code !== 0) throw new Error(`${benchmark.name}, ${label}: exit code ${code}. ${output.stderr}`);
  return JSON.parse(output.stdout.trim().split('\n').at(-1)!) as Output;
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
