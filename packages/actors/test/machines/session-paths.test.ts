import type { SnapshotFrom } from 'xstate';
import { expect, test } from 'vitest';
import { sessionMachine, type FinishedTurn, type SessionEmitted, type SessionMachineEvent } from '../../src/machines/index.ts';
import { outcomes } from '../../src/task/types.ts';
import { TransitionCoverage, timerEventTypes } from '../support/coverage.ts';
import { generatedPaths, replay } from '../support/edges.ts';

type Snapshot = SnapshotFrom<typeof sessionMachine>;

const atMs = 1000;
const error = { name: 'OpencodeManagerError', code: 'INTERNAL', message: 'x' } as const;
const idleRead = {
  startedAtMs: atMs,
  messageId: 'msg_10',
  status: 'idle',
  busyChildren: [],
  asks: [],
  messageFound: true,
  final: null,
} as const;

/** One event of each kind, with the variants that the guards tell apart. */
const alphabet: SessionMachineEvent[] = [
  { type: 'turn.submit', taskId: 't1', messageId: 'msg_10', kind: 'prompt', timeoutMs: 5000, atMs },
  { type: 'turn.accepted', atMs },
  { type: 'turn.refused', error },
  { type: 'turn.unknown', error },
  { type: 'turn.abort' },
  { type: 'turn.runaway', reason: 'x' },
  { type: 'submit.overdue' },
  { type: 'progress' },
  { type: 'turn.silent' },
  { type: 'session.busy', atMs },
  { type: 'session.idle', atMs },
  { type: 'session.retrying', retry: { attempt: 1, message: 'x', nextAtMs: 2000 }, atMs },
  { type: 'session.errored', error: { kind: 'provider', name: 'APIError', message: 'x' }, atMs },
  { type: 'message.started', id: 'msg_11', atMs },
  { type: 'message.finalised', message: { id: 'msg_11', finish: 'stop', empty: false }, atMs },
  { type: 'message.finalised', message: { id: 'msg_11', finish: 'stop', empty: true }, atMs },
  { type: 'ask.opened', ask: { id: 'per_1', kind: 'permission', sessionId: 'ses_child' }, atMs },
  { type: 'ask.closed', id: 'per_1', atMs },
  { type: 'child.busy', sessionId: 'ses_child', atMs },
  { type: 'child.quiet', sessionId: 'ses_child', atMs },
  { type: 'snapshot.read', facts: idleRead, atMs },
  { type: 'snapshot.read', facts: { ...idleRead, messageFound: false }, atMs },
  { type: 'snapshot.read', facts: { ...idleRead, status: 'busy' }, atMs },
  { type: 'snapshot.read', facts: { ...idleRead, final: { id: 'msg_11', finish: 'stop', empty: false } }, atMs },
  { type: 'stream.gap' },
  { type: 'stream.live' },
  { type: 'session.recover' },
  { type: 'session.deleted' },
  { type: 'session.failed', error },
  { type: 'server.exited', error },
  { type: 'server.interrupted', error },
  { type: 'turn.resume', taskId: 't1', messageId: 'msg_10', kind: 'prompt', timeoutMs: 5000, atMs },
];
const timers = timerEventTypes(sessionMachine).map((type) => ({ type }) as unknown as SessionMachineEvent);

const input = { sessionId: 'ses_root', directory: '/work', limits: { maxInconclusiveReads: 2, stallTimeoutMs: 4000 } };

/** What the guards look at; times and counters beyond that would make endless states of the same kind. */
function kindOf({ value, context }: Snapshot): string {
  const { turn, streamLive } = context;
  return JSON.stringify([
    value,
    streamLive,
    turn && [
      turn.accepted,
      turn.busyAtMs !== null,
      turn.final?.empty,
      turn.idle?.source,
      turn.idleIsEarly,
      turn.busyChildren.length,
      turn.openAsks.length,
    ],
    turn && [
      turn.retry !== null,
      turn.stale,
      turn.readPending,
      turn.stallSuspected,
      turn.inconclusiveReads >= 2,
      turn.unansweredReads >= 2,
      turn.decision !== null,
    ],
  ]);
}

/** Timers run only in the states that own them. */
function eventsIn({ value }: Snapshot): SessionMachineEvent[] {
  const owners = typeof value === 'object' ? ['session.active', `session.active.${value.active}`] : [];
  return [...alphabet, ...timers.filter(({ type }) => owners.some((owner) => type.endsWith(`.${owner}`)))];
}

/** The first end of a turn closes a path; what follows is the same again. */
function isOver({ value, context }: Snapshot): boolean {
  return value === 'dead' || (value === 'idle' && context.turns > 0);
}

test('every transition is reached by a generated path, and each path ends its turns once', () => {
  const coverage = new TransitionCoverage(sessionMachine);
  const paths = generatedPaths(sessionMachine, { input, events: eventsIn, kindOf, stopWhen: isOver });
  for (const path of paths) {
    const finished: FinishedTurn[] = [];
    const actor = replay(sessionMachine, input, path, coverage.inspect, (event) => finished.push((event as SessionEmitted).turn));
    const { context, value } = actor.getSnapshot() as Snapshot;
    const inFlight = typeof value === 'object' ? 1 : 0;
    expect(finished.length + inFlight).toBe(context.turns + context.resumptions);
    expect(context.turn !== null).toBe(inFlight === 1);
    for (const { outcome } of finished) expect(outcomes).toContain(outcome);
    actor.stop();
  }
  console.info(`session machine: ${coverage.taken} of ${coverage.total} transitions over ${paths.length} generated paths`);
  expect(coverage.missing()).toEqual([]);
});
