import type { BatchHead, BatchRow } from './format.ts';
import { formatCount } from '../ui/format.ts';
import { clockTime, plain } from './words.ts';

/** What the pool of a live run says of itself, where the page knows it. */
export interface PoolSays {
  readonly path: string;
  readonly active?: number;
  readonly maxSessions?: number;
  readonly providers?: readonly { readonly id?: string | null; readonly heldUntilMs: number | null }[];
}

const poolWords: Readonly<Record<string, string>> = {
  starting: 'the server starts',
  recovering: 'the server is started again',
  draining: 'the run takes no more tasks',
  failed: 'the server cannot be started again',
  stopped: 'the run has stopped',
};

/** A sentence. `busy`: as it should be; `held`: something stands in the way. */
export interface WhyNothing {
  readonly kind: 'busy' | 'held';
  readonly text: string;
}

/** Why no further task starts although tasks are left; null when one may start, or none is left. */
export function whyNothingStarts(
  head: BatchHead,
  rows: ReadonlyMap<string, BatchRow>,
  pool: PoolSays | undefined,
  nowMs: number,
): WhyNothing | null {
  const all = [...rows.values()];
  const left = all.filter(({ state }) => state === 'not_started' || state === 'waiting' || state === 'interrupted').length;
  if (left === 0) return null;
  const tasks = `${formatCount(left)} ${left === 1 ? 'task is' : 'tasks are'} left`;
  if (head.standing === 'interrupted')
    return { kind: 'held', text: `${tasks}, and the process that had the run is gone. ocm resume goes on with it.` };
  if (head.standing === 'ended')
    return { kind: 'held', text: `${tasks}: the run ended (${plain(head.endedBecause ?? '')}). ocm resume goes on with it.` };
  const held = head.holding ?? whatHolds(pool, nowMs);
  if (held !== null) return { kind: 'held', text: `Nothing starts: ${held}.` };
  const running = all.filter(({ state }) => state === 'running').length;
  const slots = pool?.maxSessions ?? head.concurrency;
  if (slots !== null && Math.max(running, pool?.active ?? 0) >= slots)
    return { kind: 'busy', text: `All ${slots} slots are busy; ${tasks}.` };
  const waits = whatTasksWaitFor(all, rows, nowMs);
  return waits === null ? null : { kind: 'held', text: `Nothing starts: ${waits}.` };
}

/** What keeps every task from a start. */
function whatHolds(pool: PoolSays | undefined, nowMs: number): string | null {
  if (!pool) return null;
  const word = poolWords[pool.path];
  if (word !== undefined) return word;
  const gate = pool.providers?.find(({ heldUntilMs }) => heldUntilMs !== null && heldUntilMs > nowMs);
  if (!gate) return null;
  return `provider${gate.id == null ? '' : ` ${gate.id}`} is held until ${clockTime(gate.heldUntilMs!, nowMs)}`;
}

/** Null when one of them is free to start: it is about to. */
function whatTasksWaitFor(all: readonly BatchRow[], rows: ReadonlyMap<string, BatchRow>, nowMs: number): string | null {
  const unstarted = all.filter(({ state }) => state === 'not_started');
  const blocked = unstarted.filter(({ after }) => after.some((key) => rows.get(key)?.state !== 'succeeded')).length;
  if (blocked < unstarted.length) return null;
  if (blocked > 0) return `${blocked} ${blocked === 1 ? 'task waits' : 'tasks wait'} for others to succeed`;
  const resets = all.flatMap(({ resetAtMs }) => resetAtMs ?? []);
  if (resets.length > 0) return `tasks wait for quota until ${clockTime(Math.min(...resets), nowMs)}`;
  return 'tasks wait before their next attempt';
}
