import type { JournalRow } from '../journal/events.ts';
import { countPlan, type ResumePlan } from '../machine/index.ts';
import { refuseProvider } from './refuse-provider.ts';
import type { RunHost } from './run-host.ts';
import type { RunStore } from './store.ts';
import { Totals } from './totals.ts';
import type { FinalResult, Run } from './types.ts';

export interface OpenedRun {
  readonly host: RunHost;
  readonly plan: ResumePlan;
  readonly store: RunStore;
  /** Waits for the end, and gives everything back. */
  readonly letGo: () => Promise<void>;
}

/** Starts a run, and gives what its owner has of it. */
export function openedRun({ host, plan, store, letGo }: OpenedRun): Run {
  const closed = letGo();
  const ended = closed.then(() => host.ended);
  // Told to whoever asks; nobody may.
  ended.catch(() => undefined);
  const { startSequence } = host;
  host.start();
  return {
    id: store.id,
    path: store.path,
    plan: plan.lines,
    startSequence,
    ended,
    counts: () => host.counts(),
    results: () => finalResults(host.events(0), startSequence, plan),
    events: (after = 0) => host.events(after),
    knownEvents: (after = 0) => host.knownEvents(after),
    hasEnded: () => host.hasEnded,
    control: host.control,
    holding: ({ countdown = true } = {}) => host.holding(countdown),
    providers: () => host.providers(),
    pauseProvider: (id) => host.pauseProvider(id),
    resumeProvider: (id) => host.resumeProvider(id),
    drain: () => host.drain(),
    abort: (reason) => host.abort(reason),
    async [Symbol.asyncDispose]() {
      host.abort('The run was let go of.');
      await ended;
    },
  };
}

/** A run that is done already: nothing is started, and nothing is written. */
export async function finishedRun(plan: ResumePlan, store: RunStore): Promise<Run> {
  const totals = new Totals();
  let startSequence = 0;
  for (const row of store.rows()) {
    totals.add(row);
    startSequence = row.sequence;
  }
  await store.close();
  const counts = countPlan(plan);
  const rows = async function* (after = 0): AsyncGenerator<JournalRow, undefined> {
    yield* store.rows(after);
    return undefined;
  };
  return {
    id: store.id,
    path: store.path,
    plan: plan.lines,
    startSequence,
    ended: Promise.resolve({ reason: 'done', why: null, error: null, counts, totals: totals.now() }),
    counts: () => counts,
    results: () => finalResults(rows(), startSequence, plan),
    events: rows,
    knownEvents: rows,
    hasEnded: () => true,
    holding: () => null,
    control: null,
    providers: () => [],
    pauseProvider: (id) => refuseProvider(id, []),
    resumeProvider: (id) => refuseProvider(id, []),
    drain: () => {},
    abort: () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}

/** The ends that count: of tasks that are used again their newest one, of all others what this manager has made final. */
async function* finalResults(
  rows: AsyncIterable<JournalRow>,
  startSequence: number,
  { tasks }: ResumePlan,
): AsyncGenerator<FinalResult, undefined> {
  const reused = new Map(tasks.flatMap(({ key, decision, end }) => (decision === 'reuse' && end ? [[key, end.attempt] as const] : [])));
  for await (const { sequence, event } of rows) {
    if (event.type !== 'attempt.ended') continue;
    const { key, attempt, outcome, result, final } = event;
    const isReused = sequence <= startSequence;
    if (isReused ? reused.get(key) === attempt : final) yield { key, attempt, outcome, result, reused: isReused };
  }
  return undefined;
}
