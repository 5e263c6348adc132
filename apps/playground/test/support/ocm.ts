import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const bin = fileURLToPath(new URL('../../../../packages/cli/src/bin.ts', import.meta.url));

/** Deadline for whatever a command prints first: it may have to start a server. */
const startMs = 60_000;

/** The binary from the lockfile, whatever is on PATH: the one of this platform's own package. */
function pinnedBinary(): string {
  const named = process.env['OPENCODE_BIN'];
  if (named) return named;
  const launcher = createRequire(import.meta.url).resolve('opencode-ai/package.json');
  const own = createRequire(launcher).resolve(`opencode-${process.platform}-${process.arch}/package.json`);
  return join(dirname(own), 'bin', 'opencode');
}

type Line = { readonly type: string } & Readonly<Record<string, unknown>>;

/** A running `ocm --json`. */
export class Ocm implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly exit: Promise<number | string>;
  stdout = '';
  stderr = '';

  /** `command`: another program of ours that prints JSON Lines. */
  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}, command: string = bin) {
    this.child = spawn(process.execPath, ['--conditions=@opencode-manager/source', command, ...args], {
      env: { ...process.env, OPENCODE_BIN: pinnedBinary(), ...env },
      stdio: [command === bin ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    this.child.stdout!.setEncoding('utf8').on('data', (chunk: string) => (this.stdout += chunk));
    this.child.stderr!.setEncoding('utf8').on('data', (chunk: string) => (this.stderr += chunk));
    this.exit = once(this.child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  }

  get lines(): Line[] {
    return this.stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line);
  }

  /** The address of the page, as soon as it is printed. */
  async pageUrl(): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const fail = (why: string) => reject(new Error(`ocm printed no address of a page (${why}): ${this.stderr}`));
    const look = () => {
      const line = this.lines.find(({ type }) => type === 'playground');
      if (line) resolve(line['url'] as string);
    };
    const deadline = setTimeout(() => fail(`within ${startMs} ms`), startMs);
    this.child.stdout!.on('data', look);
    void this.exit.then((exit) => fail(`it ended with ${exit}`));
    look();
    try {
      return await promise;
    } finally {
      clearTimeout(deadline);
      this.child.stdout!.off('data', look);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGTERM');
    await this.exit;
  }
}

/** `http://127.0.0.1:PORT` */
export function originOf(url: string): string {
  return new URL(url).origin;
}
