import type { OpencodeServer } from '@opencode-manager/core';
import type { Script } from '@opencode-manager/testing';
import type { SessionPool, SessionPoolOptions } from '../../src/index.ts';
import { startBench, type Bench } from './bench.ts';
import { createSessionPool } from './pool.ts';

/** One server for tests that lose or replace theirs: each goes on with the server that the last one left. A start costs seconds. */
export interface Succession extends AsyncDisposable {
  readonly bench: Bench;
  /** How long the first start took: a measure of the machine. */
  readonly startMs: number;
  current(): Promise<OpencodeServer>;
  /** A pool with `recovery` on the current server, whose model answers by these rules from now on. */
  openPool(rules: Script['rules'], options?: SessionPoolOptions): Promise<SessionPool>;
}

export async function startSuccession(config: Parameters<typeof startBench>[1] = {}): Promise<Succession> {
  const startingAtMs = Date.now();
  const bench = await startBench([], config);
  const startMs = Date.now() - startingAtMs;
  let last: { readonly server: OpencodeServer } = bench;
  const current = async () => {
    const { server } = last;
    // A test that failed between a loss and the restart leaves a server that is gone.
    const exit = await Promise.race([server.exited, Promise.resolve(undefined)]);
    return exit ? server.relaunch() : server;
  };
  return {
    bench,
    startMs,
    current,
    async openPool(rules = [], options = {}) {
      bench.model.reset({ rules });
      const pool = await createSessionPool({ server: await current(), recovery: true, ...options });
      last = pool;
      return pool;
    },
    [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
  };
}
