import type { SnapshotFrom } from 'xstate';
import { expect, test } from 'vitest';
import {
  sessionMachine,
  type FinalFacts,
  type FinishedTurn,
  type SessionEmitted,
  type SessionMachineEvent,
  type Turn,
  type TurnReading,
} from '../../src/machines/index.ts';
import { busyChildrenOf } from '../../src/machines/turn.ts';
import { outcomes } from '../../src/task/types.ts';
import { TransitionCoverage, timerEventTypes } from '../support/coverage.ts';
import { generatedPaths, replay } from '../support/edges.ts';
import { ended } from '../support/session-actor.ts';

type Snapshot = SnapshotFrom<typeof sessionMachine>;

const atMs = 1000;
const error = { name: 'OpencodeManagerError', code: 'INTERNAL', message: 'x' } as const;
const limits = { stallTimeoutMs: 4000, unbegunTimeoutMs: 1000, unfinishedTimeoutMs: 500 };
const input = { sessionId: 'ses_root', directory: '/work', limits };

const turn = {
  taskId: 't1',
  messageId: 'msg_10',
  kind: 'prompt',
  timeoutMs: 5000,
  limits: { tokens: 100, workingMs: 4000 },
  atMs,
} as const;
interface Found {
  readonly newest?: { readonly id: string; readonly final: FinalFacts | null };
  readonly found?: boolean;
  readonly changed?: boolean;
  readonly status?: TurnReading['status']['value'];
  readonly sinceMs?: number;
}

function read(of: Found = {}): SessionMachineEvent {
  const { newest = null, found = true, changed = false, status = 'idle', sinceMs = 2000 } = of;
  return {
    type: 'snapshot.read',
    reading: {
      messageId: 'msg_10',
      history: { sinceMs, seenAtMs: sinceMs, found, newest, changed },
      status: { sinceMs: sinceMs + 1, value: status },
      children: { sinceMs, busy: [], quiet: [], unbegun: [], wholeSinceMs: sinceMs },
      asks: { sinceMs, listed: [] },
      agoMs: 9000,
    },
    atMs: sinceMs + 2,
  };
}
const good = ended({ id: 'msg_11', finish: 'stop' });
const empty = ended({ id: 'msg_11', finish: 'stop', hasText: false });
const loop = { emptySteps: 5, repetitions: 0, period: 1 };

/** One event of each kind, with the variants that the guards tell apart. */
const alphabet: SessionMachineEvent[] = [
  { type: 'turn.submit', ...turn },
  { type: 'turn.submit', ...turn, kind: 'command' },
  { type: 'turn.resume', ...turn },
  { type: 'turn.accepted', source: 'events', atMs },
  { type: 'turn.refused', error },
  { type: 'turn.unknown', error },
  { type: 'turn.abort' },
  { type: 'turn.abort', withinMs: 100 },
  { type: 'loop.seen', loop },
  { type: 'answer.oversized', bytes: 1e9 },
  { type: 'usage.seen', spent: { steps: 1, tokens: 99, usd: 0 } },
  { type: 'usage.seen', spent: { steps: 1, tokens: 100, usd: 0 } },
  { type: 'stall.due' },
  { type: 'step.due' },
  { type: 'ask.due' },
  { type: 'work.due' },
  { type: 'abort.again' },
  { type: 'quarantine.due' },
  { type: 'progress', agoMs: 0, atMs },
  { type: 'progress', agoMs: 9000, atMs },
  { type: 'session.busy', atMs },
  { type: 'session.idle', atMs: atMs + 1 },
  { type: 'session.retrying', retry: { attempt: 1, message: 'x', nextAtMs: 2000 }, atMs },
  { type: 'session.retrying', retry: { attempt: 1, message: 'x', nextAtMs: 2_000_000 }, atMs },
  { type: 'session.errored', error: { kind: 'provider', name: 'APIError', message: 'x' }, atMs },
  { type: 'message.started', id: 'msg_11', parentId: 'msg_10', atMs },
  { type: 'message.finalised', message: good, atMs },
  { type: 'message.finalised', message: empty, atMs },
  { type: 'ask.opened', ask: { id: 'per_1', kind: 'permission', sessionId: 'ses_child' }, atMs },
  { type: 'ask.closed', id: 'per_1', atMs },
  { type: 'child.busy', sessionId: 'ses_child', atMs },
  { type: 'child.quiet', sessionId: 'ses_child', atMs },
  { type: 'child.deleted', sessionId: 'ses_child', atMs },
  read(),
  read({ sinceMs: 4000 }),
  read({ found: false }),
  read({ status: 'busy' }),
  read({ status: 'busy', changed: true }),
  read({ status: { attempt: 1, message: 'x', nextAtMs: 2_000_000 } }),
  read({ newest: { id: 'msg_11', final: good } }),
  read({ newest: { id: 'msg_11', final: empty } }),
  { type: 'stream.gap' },
  { type: 'stream.live', atMs },
  { type: 'session.recover' },
  { type: 'session.deleted' },
  { type: 'session.failed', error },
  { type: 'server.exited', error },
  { type: 'server.interrupted', error },
];
const timers = timerEventTypes(sessionMachine).map((type) => ({ type }) as unknown as SessionMachineEvent);

/** What the guards look at; times and counters beyond that would make endless states of the same kind. */
function kindOf({ value, context }: Snapshot): string {
  const { turn: inFlight, lastTurn } = context;
  return JSON.stringify([value, context.liveSinceMs !== null, inFlight ? kindOfTurn(inFlight) : lastTurn?.quarantined]);
}

function kindOfTurn(inFlight: Turn): unknown[] {
  const {
    kind,
    accepted,
    acceptedByEvents,
    sessionError,
    final,
    idle,
    idleSinceMs,
    openAsks,
    followedSinceMs,
    readPending,
    stallSuspected,
    decision,
  } = inFlight;
  const end = [final ? final.hasText : sessionError !== null, idle?.source, busyChildrenOf(inFlight).length];
  // A turn that is to end waits for nothing else.
  if (decision) return [...end, decision.outcome === 'aborted', accepted];
  const isLong = idle !== null && idleSinceMs !== null && idle.atMs - idleSinceMs >= 1000;
  return [
    ...end,
    isLong,
    accepted,
    acceptedByEvents,
    kind === 'prompt' || accepted,
    openAsks.length,
    followedSinceMs !== null,
    readPending,
    stallSuspected,
  ];
}

/** Steps that differ in nothing else are taken by different transitions while a stall is suspected. */
const stepOf = ({ value, context }: Snapshot): unknown => [value, context.turn?.stallSuspected];

/** Timers run only in the states that own them. */
function eventsIn({ value }: Snapshot): SessionMachineEvent[] {
  const owners = typeof value === 'object' && 'active' in value ? ['session.active', `session.active.${value.active}`] : [];
  return [...alphabet, ...timers.filter(({ type }) => owners.some((owner) => type.endsWith(`.${owner}`)))];
}

/** The first end of a turn closes a path, but for what a quarantined session does; what follows is the same again. */
function isOver({ value, context }: Snapshot): boolean {
  return (typeof value === 'object' && 'dead' in value && value.dead === 'gone') || (value === 'idle' && context.turns > 0);
}

test('every transition is reached by a generated path, and each path ends its turns once', () => {
  const coverage = new TransitionCoverage(sessionMachine);
  const paths = generatedPaths(sessionMachine, { input, events: eventsIn, kindOf, stepOf, stopWhen: isOver });
  for (const path of paths) {
    const finished: FinishedTurn[] = [];
    const actor = replay(sessionMachine, input, path, coverage.inspect, (event) => finished.push((event as SessionEmitted).turn));
    const { context, value } = actor.getSnapshot() as Snapshot;
    const inFlight = typeof value === 'object' && 'active' in value ? 1 : 0;
    expect(finished.length + inFlight).toBe(context.turns + context.resumptions);
    expect(context.turn !== null).toBe(inFlight === 1);
    for (const { outcome } of finished) expect(outcomes).toContain(outcome);
    actor.stop();
  }
  console.info(`session machine: ${coverage.taken} of ${coverage.total} transitions over ${paths.length} generated paths`);
  expect(coverage.missing()).toEqual([]);
});
