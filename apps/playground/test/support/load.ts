import { fileURLToPath } from 'node:url';
import { scenarios } from '../../src/simulation/scenarios.ts';
import { SimulatedRun } from '../../src/simulation/simulated-run.ts';
import type { RunRecord } from '../../src/trace/format.ts';
import { Ocm } from './ocm.ts';

const server = fileURLToPath(new URL('../../../../packages/cli/bench/page-load.ts', import.meta.url));
const everyMs = 10;

/** A page beside a pool of simulated sessions, over the real link, that tells so many events a second. */
export interface Load extends AsyncDisposable {
  readonly url: string;
  /** Records so far. */
  readonly sent: number;
  /** Goes on at another pace; 0 stands still. */
  setRate(eventsPerSecond: number): void;
}

export async function startLoad(sessions: number): Promise<Load> {
  const waiting: RunRecord[] = [];
  const run = new SimulatedRun({
    scenario: { ...scenarios.find(({ id }) => id === 'crowd')!, maxSessions: sessions, tasks: 20_000 },
    onRecord: (record) => waiting.push(record),
    drain: () => new Promise((resolve) => setImmediate(resolve)),
  });
  await run.open();
  const process = new Ocm([], {}, server);
  const url = await process.pageUrl();
  let rate = 0;
  let sent = 0;
  let due = 0;
  let lastMs = performance.now();
  let filling = Promise.resolve();
  const fill = async (count: number) => {
    while (waiting.length < count) await run.pass(everyMs, () => waiting.length >= count);
  };
  const tell = () => {
    const nowMs = performance.now();
    const passedMs = nowMs - lastMs;
    lastMs = nowMs;
    if (rate === 0) return;
    due += (rate * passedMs) / 1000;
    const now = waiting.splice(0, Math.max(0, Math.floor(due) - sent));
    sent += now.length;
    process.child.stdin!.write(now.map((record) => `${JSON.stringify({ ...record, atMs: Date.now() })}\n`).join(''));
    filling = filling.then(() => fill(rate));
  };
  // Records for some seconds are made beforehand, and more while the page reads.
  await fill(30_000);
  const timer = setInterval(tell, everyMs);
  return {
    url,
    get sent() {
      return sent;
    },
    setRate: (eventsPerSecond) => void (rate = eventsPerSecond),
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await filling;
      process.child.stdin!.end();
      await process[Symbol.asyncDispose]();
    },
  };
}
