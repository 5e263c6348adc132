import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The words that start a program of this directory. */
export function program(name: string, ...args: readonly string[]): [string, ...string[]] {
  return [process.execPath, '--conditions=@opencode-manager/source', fileURLToPath(new URL(name, import.meta.url)), ...args];
}

export interface Child {
  readonly process: ChildProcess;
  /** All lines of standard output so far. */
  lines(): string[];
  /** Standard error so far. */
  errors(): string;
  /** Resolves when so many lines are there, or at its end. */
  printed(count: number): Promise<void>;
  readonly exited: Promise<number | null>;
}

export function start([command, ...args]: readonly [string, ...string[]]): Child {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const text = { out: '', err: '' };
  child.stderr.on('data', (chunk: Buffer) => void (text.err += chunk.toString()));
  child.stdout.on('data', (chunk: Buffer) => void (text.out += chunk.toString()));
  // The last line is whole, or was never said.
  const lines = () => text.out.split('\n').slice(0, -1);
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return {
    process: child,
    lines,
    errors: () => text.err,
    exited,
    printed: (count) =>
      new Promise((resolve) => {
        const look = () => void (lines().length >= count && resolve());
        child.stdout.on('data', look);
        void exited.finally(resolve);
        look();
      }),
  };
}
