import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Place } from './place.ts';

const bin = fileURLToPath(new URL('../src/bin.ts', import.meta.url));

/** One line of `--json`. */
export type OcmRecord = { readonly type: string } & Readonly<Record<string, unknown>>;

/** A real `ocm` in a process of its own, with the records that it prints. */
export class Ocm {
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();
  readonly exit: Promise<number | NodeJS.Signals>;
  readonly records: OcmRecord[] = [];
  stderr = '';
  isOver = false;
  #line = '';

  constructor({ env, repository }: Pick<Place, 'env' | 'repository'>, args: readonly string[]) {
    this.#child = spawn(process.execPath, ['--conditions=@opencode-manager/source', bin, ...args], { env, cwd: repository, stdio: 'pipe' });
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.exit = once(this.#child, 'close').then(([code, signal]) => {
      this.isOver = true;
      this.#wake();
      return (code ?? signal) as number | NodeJS.Signals;
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  record(type: string): OcmRecord | undefined {
    return this.records.find((record) => record.type === type);
  }

  /** The first record of a type; undefined when it ends without one. */
  async waitForRecord(type: string): Promise<OcmRecord | undefined> {
    while (!this.record(type) && !this.isOver) await new Promise<void>((resolve) => this.#waiting.add(resolve));
    return this.record(type);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  #read(text: string): void {
    const lines = (this.#line + text).split('\n');
    this.#line = lines.pop()!;
    this.records.push(...lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as OcmRecord));
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}

/** Runs a command line to its end. */
export async function runOcm(place: Place, ...args: readonly string[]): Promise<Ocm & { readonly code: number | NodeJS.Signals }> {
  const ocm = new Ocm(place, args);
  return Object.assign(ocm, { code: await ocm.exit });
}
