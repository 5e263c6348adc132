import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { FloodOrder } from './streams.ts';
import type { TurnSettings } from './turns.ts';

const program = fileURLToPath(new URL('main.ts', import.meta.url));

/** A synthetic server in a process of its own. */
export interface SyntheticServer extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  credentials(): { readonly url: string; readonly authorization: string };
  /** Sends a flood to the newest connection of the stream; resolves when all of it is on its way. */
  flood(order: FloodOrder): Promise<{ readonly deltaCharacters: number; readonly end: string }>;
}

/** Starts a synthetic server that ends with this process. */
export async function startSyntheticServer(): Promise<SyntheticServer> {
  const child = spawn(process.execPath, [program, 'serve'], { stdio: ['ignore', 'pipe', 'inherit'], env: {} });
  const endWithUs = () => void child.kill('SIGKILL');
  process.once('exit', endWithUs);
  const url = await readyUrl(child);
  return {
    url,
    pid: child.pid!,
    credentials: () => ({ url, authorization: 'Basic synthetic' }),
    flood: (order) => orderFlood(url, order),
    async [Symbol.asyncDispose]() {
      process.removeListener('exit', endWithUs);
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
}

/** An executable that `launchServer` takes for opencode's binary, and what its turns are like as an environment variable. */
export async function syntheticBinary(): Promise<
  AsyncDisposable & { readonly path: string; env(turns: Partial<TurnSettings>): Record<string, string> }
> {
  const directory = await mkdtemp(join(tmpdir(), 'ocm-synthetic-'));
  const path = join(directory, 'opencode');
  await writeFile(path, `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`, { mode: 0o755 });
  return {
    path,
    env: (turns) => ({ SYNTHETIC_TURNS: JSON.stringify(turns) }),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

async function readyUrl(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: child.stdout! })) {
    const [, url] = /listening on (http:\S+)/.exec(line) ?? [];
    if (url !== undefined) return url;
  }
  throw new Error('the synthetic server ended before it was ready');
}

async function orderFlood(url: string, order: FloodOrder): Promise<{ deltaCharacters: number; end: string }> {
  const answer = await fetch(`${url}/synthetic/flood`, { method: 'POST', body: JSON.stringify(order) });
  return (await answer.json()) as { deltaCharacters: number; end: string };
}
