import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Arguments of node for the program that makes the directory of a run. */
export const makeRunProgram = [
  '--conditions=@opencode-manager/source',
  fileURLToPath(new URL('../../../../packages/cli/bench/make-run.ts', import.meta.url)),
];

/** A run that another process has: three of its tasks are in flight. */
export interface MadeRun extends AsyncDisposable {
  readonly path: string;
  /** A task in flight ends. */
  end(key: string): void;
  /** Kills the process that has it. */
  kill(): Promise<void>;
}

export async function makeLiveRun(directory: string, tasks: number): Promise<MadeRun> {
  const child: ChildProcess = spawn(process.execPath, [...makeRunProgram, directory, String(tasks), 'live'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'close');
  const [line] = (await Promise.race([
    once(child.stdout!.setEncoding('utf8'), 'data'),
    exited.then(([code]) => Promise.reject(new Error(`the run was not made (exit ${code})`))),
  ])) as [string];
  const kill = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exited;
  };
  return {
    path: (JSON.parse(line) as { readonly path: string }).path,
    end: (key) => void child.stdin!.write(`${key}\n`),
    kill,
    [Symbol.asyncDispose]: kill,
  };
}
