import { fileURLToPath } from 'node:url';
import { World } from '../../src/simulation/world.ts';
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
  const world = new World({ maxSessions: sessions, onRecord: (record) => waiting.push(record) });
  world.queueTasks(1_000_000 / 50);
  const process = new Ocm([], {}, server);
  const url = await process.pageUrl();
  let rate = 0;
  let sent = 0;
  let due = 0;
  let lastMs = performance.now();
  const tell = () => {
    const nowMs = performance.now();
    due += (rate * (nowMs - lastMs)) / 1000;
    lastMs = nowMs;
    if (rate > 0) while (waiting.length < due - sent && world.clock.nextDueMs !== undefined) world.clock.advanceTo(world.clock.nextDueMs);
    const now = waiting.splice(0, Math.max(0, Math.floor(due) - sent));
    sent += now.length;
    process.child.stdin!.write(now.map((record) => `${JSON.stringify({ ...record, atMs: Date.now() })}\n`).join(''));
  };
  const timer = setInterval(tell, everyMs);
  return {
    url,
    get sent() {
      return sent;
    },
    setRate: (eventsPerSecond) => void (rate = eventsPerSecond),
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      world.dispose();
      process.child.stdin!.end();
      await process[Symbol.asyncDispose]();
    },
  };
}
