import { assign, emit, raise, setup } from 'xstate';
import type {
  Decision,
  ReadRequest,
  SessionContext,
  SessionEmitted,
  SessionInput,
  SessionLimits,
  SessionMachineEvent,
  Turn,
  TurnFact,
  TurnPhase,
} from './session.types.ts';
import { conclude, endOf, isAbortConfirmed, isExhausted, settleDelayOf, stepDelayOf } from './turn-end.ts';
import { isHistoryWhole, phaseOf, recordFact } from './turn-facts.ts';
import { busyChildrenOf, freshTurn, isUnfollowed, mayGoOn } from './turn.ts';
import {
  isOverBudget,
  longestQuietMs,
  outOfWork,
  overBudget,
  pauseWork,
  resumeWork,
  retryLimits,
  stalled,
  timedOut,
  workLeftMs,
} from './turn-limits.ts';
import { abortedBy, decideOnce, failure, inputNeeded, isLoop, isRetryTooLong, oversized, ranAway, retryRefused } from './turn-verdict.ts';

type EventOf<Type extends SessionMachineEvent['type']> = Extract<SessionMachineEvent, { type: Type }>;

/** Defaults of every limit; what `createSessionPool` documents. */
export const defaultSessionLimits: SessionLimits = {
  stallTimeoutMs: 300_000,
  askTimeoutMs: 60_000,
  maxRetryWaitMs: 120_000,
  maxRetries: 5,
  abortTimeoutMs: 5000,
  quarantineMs: 30_000,
  submitTimeoutMs: 20_000,
  settleMs: 150,
  stepGraceMs: 2000,
  reconcileRetryMs: 2000,
  unbegunTimeoutMs: 30_000,
  unfinishedTimeoutMs: 5000,
  runawayEmptySteps: 5,
  runawayRepetitions: 10,
  maxAnswerBytes: 16_000_000,
};

/** Timers overflow above this (about 24.8 days). */
const longestDelayMs = 2 ** 31 - 1;

/** A read that is to settle a suspected stall has so long for its answer. */
const stallGraceMs = 30_000;

/** The limits that were given over the defaults. */
export function limitsOf(given: Partial<SessionLimits> = {}): SessionLimits {
  const abortTimeoutMs = given.abortTimeoutMs ?? defaultSessionLimits.abortTimeoutMs;
  return { ...defaultSessionLimits, quarantineMs: 6 * abortTimeoutMs, ...given };
}

const withTurn = (change: (turn: Turn, context: SessionContext) => Turn) => (context: SessionContext) =>
  context.turn ? { turn: change(context.turn, context) } : {};

const decide =
  (decisionOf: (turn: Turn, limits: SessionLimits, event: SessionMachineEvent) => Decision) =>
  ({ context, event }: { readonly context: SessionContext; readonly event: SessionMachineEvent }) =>
    withTurn((turn, { limits }) => decideOnce(turn, decisionOf(turn, limits, event)))(context);

/** What the machine decides with; pure. The effects are no-ops until a host provides them. */
const decisions = setup({
  types: {
    context: {} as SessionContext,
    events: {} as SessionMachineEvent,
    emitted: {} as SessionEmitted,
    input: {} as SessionInput,
  },
  actions: {
    submitTurn: () => {},
    requestAbort: () => {},
    requestSnapshot: (_args, _request: ReadRequest) => {},
    answerAsks: (_args, _open: { readonly ids: readonly string[] }) => {},
    abortChildren: (_args, _busy: { readonly ids: readonly string[] }) => {},
    endTools: () => {},
    // A host answers when the newest activity came; alone, the machine takes the quiet for silence.
    lookForProgress: raise({ type: 'progress', agoMs: longestDelayMs, atMs: 0 }),
    announceEnd: emit(({ context }): SessionEmitted => ({ type: 'turn.finished', turn: context.lastTurn! })),
    beginTurn: assign(({ context, event }) =>
      event.type === 'turn.submit' ? { turn: freshTurn(event, context), turns: context.turns + 1 } : {},
    ),
    // Nothing is sent again: the turn is known to be over, and a read proves it.
    resumeTurn: assign(({ context, event }) =>
      event.type === 'turn.resume'
        ? {
            turn: { ...freshTurn(event, context), accepted: true, gaps: 1, followedSinceMs: null },
            resumptions: context.resumptions + 1,
          }
        : {},
    ),
    recordFact: assign(({ context, event }) => withTurn((turn) => recordFact(turn, event as TurnFact, context))(context)),
    recordUnknown: assign(({ context, event }) =>
      withTurn((turn) => ({ ...turn, submitError: (event as EventOf<'turn.unknown'>).error }))(context),
    ),
    rememberAsk: assign(({ context, event }) => ({ pastAsks: [...context.pastAsks, (event as EventOf<'ask.opened'>).ask.id] })),
    expectRead: assign(({ context }) => withTurn((turn) => ({ ...turn, readPending: true }))(context)),
    suspectStall: assign(({ context }) => withTurn((turn) => ({ ...turn, stallSuspected: true }))(context)),
    clearSuspicion: assign(({ context }) => withTurn((turn) => ({ ...turn, stallSuspected: false }))(context)),
    loseStream: assign(({ context }) => ({
      liveSinceMs: null,
      ...withTurn((turn) => ({ ...turn, followedSinceMs: null, childrenRead: null, asksRead: null, gaps: turn.gaps + 1 }))(context),
    })),
    regainStream: assign(({ context, event }) => {
      const { atMs, incomplete = false } = event as EventOf<'stream.live'>;
      return { liveSinceMs: atMs, ...withTurn((turn) => ({ ...turn, missedEvents: turn.missedEvents || incomplete }))(context) };
    }),
    boundAbort: assign(({ context, event }) =>
      withTurn((turn) => ({ ...turn, abortWithinMs: (event as EventOf<'turn.abort'>).withinMs ?? turn.abortWithinMs }))(context),
    ),
    noteSpent: assign(({ context, event }) => withTurn((turn) => ({ ...turn, spent: (event as EventOf<'usage.seen'>).spent }))(context)),
    pauseWork: assign(({ context }) => withTurn(pauseWork)(context)),
    resumeWork: assign(({ context }) => withTurn(resumeWork)(context)),
    // Decisions. The first one stands.
    decideRefused: assign(decide((_turn, _limits, event) => ({ outcome: 'failed', error: (event as EventOf<'turn.refused'>).error }))),
    decideTimedOut: assign(decide((turn) => timedOut(turn))),
    decideStalled: assign(decide((turn, limits) => stalled(longestQuietMs(turn, limits)))),
    decideOutOfWork: assign(decide((turn) => outOfWork(turn))),
    decideOverBudget: assign(decide((turn) => overBudget(turn))),
    decideAborted: assign(decide((_turn, _limits, event) => abortedBy((event as EventOf<'turn.abort'>).reason))),
    decideRunaway: assign(decide((_turn, limits, event) => ranAway((event as EventOf<'loop.seen'>).loop, limits))),
    decideOversized: assign(decide((_turn, limits, event) => oversized((event as EventOf<'answer.oversized'>).bytes, limits))),
    decideOnRetry: assign(decide((turn, limits) => retryRefused(turn.retry!, turn.lastAtMs, retryLimits(turn, limits)))),
    decideNeedsInput: assign(decide((turn, limits) => inputNeeded(turn.openAsks[0]!, limits))),
    decideServerLost: assign(
      decide((_turn, _limits, event) => ({ outcome: 'server_lost', error: (event as EventOf<'server.exited'>).error })),
    ),
    decideInterrupted: assign(
      decide((_turn, _limits, event) => ({
        outcome: 'interrupted',
        error:
          'error' in event
            ? (event as EventOf<'session.failed'>).error
            : failure('TURN_INTERRUPTED', 'The session was deleted during the turn.'),
      })),
    ),
    concludeTurn: assign(({ context }) => conclude(context, false)),
    quarantine: assign(({ context }) => conclude(context, true)),
  },
  guards: {
    endsWell: ({ context }) => endOf(context) === 'well',
    endsBadly: ({ context }) => endOf(context) === 'badly',
    abortIsConfirmed: ({ context }) => isAbortConfirmed(context),
    abortIsConfirmedWell: ({ context }) => isAbortConfirmed(context) && context.turn?.decision?.outcome === 'aborted',
    isExhausted: ({ context }) => isExhausted(context),
    phaseIs: ({ context }, { phase }: { phase: TurnPhase }) => context.turn !== null && phaseOf(context.turn, context.sessionId) === phase,
    phaseIsNot: ({ context }, { phase }: { phase: TurnPhase }) =>
      context.turn !== null && phaseOf(context.turn, context.sessionId) !== phase,
    isAccepted: ({ context }) => context.turn?.accepted === true,
    isReconciled: ({ context: { turn } }) => turn !== null && turn.accepted && !turn.readPending && turn.followedSinceMs !== null,
    mustBeRead: ({ context: { turn } }) => turn !== null && turn.kind !== 'prompt' && turn.followedSinceMs === null,
    isUnfollowed: ({ context: { turn } }) => turn !== null && turn.decision === null && isUnfollowed(turn),
    hasTimeout: ({ context }) => context.turn !== null && context.turn.timeoutMs !== null,
    isOutOfWork: ({ context: { turn } }) => turn !== null && turn.limits.workingMs !== null,
    isOverBudget: ({ context: { turn }, event }) =>
      event.type === 'usage.seen' && turn !== null && isOverBudget({ ...turn, spent: event.spent }),
    isAskOpen: ({ context }) => (context.turn?.openAsks.length ?? 0) > 0,
    leavesAsk: ({ context: { turn }, event }) =>
      event.type === 'child.quiet' && turn?.decision === null && turn.openAsks.some(({ sessionId }) => sessionId === event.sessionId),
    isLoop: ({ context, event }) => event.type === 'loop.seen' && isLoop(event.loop, context.limits),
    isOversized: ({ context, event }) => event.type === 'answer.oversized' && event.bytes > context.limits.maxAnswerBytes,
    // Who comes later with more time does not lengthen the wait.
    hasNewBound: ({ context: { turn, limits }, event }) =>
      event.type === 'turn.abort' && event.withinMs !== undefined && event.withinMs < (turn?.abortWithinMs ?? limits.quarantineMs),
    retryIsTooLong: ({ context: { limits, turn }, event }) =>
      (event.type === 'session.retrying' &&
        turn?.acceptedByEvents === true &&
        isRetryTooLong(event.retry, event.atMs, retryLimits(turn, limits))) ||
      (event.type === 'snapshot.read' &&
        // What an event has told since stands, as in the reading itself.
        event.reading.messageId === turn?.messageId &&
        turn.statusAtMs < event.reading.status.sinceMs &&
        typeof event.reading.status.value === 'object' &&
        isRetryTooLong(event.reading.status.value, event.atMs, retryLimits(turn, limits))),
    isSilent: ({ context, event }) => event.type === 'progress' && context.turn?.decision === null && isSilent(context, event),
    isStalled: ({ context, event }) => event.type === 'progress' && context.turn?.stallSuspected === true && isSilent(context, event),
    readConfirmsStall: ({ context, event }) =>
      event.type === 'snapshot.read' && context.turn?.stallSuspected === true && confirmsStall(context, event.reading),
  },
  delays: {
    taskTimeout: ({ context }) => Math.min(context.turn?.timeoutMs ?? longestDelayMs, longestDelayMs),
    stallRemainder: ({ context, event }) => Math.min(longestDelayMs, Math.max(0, stallRemainder(context, event))),
    askRemainder: ({ context }) => Math.min(longestDelayMs, askRemainder(context)),
    stallGrace: stallGraceMs,
    workRemainder: ({ context: { turn } }) => Math.min(longestDelayMs, turn ? workLeftMs(turn) : longestDelayMs),
    // A command's templates may run shell lines before its message is stored.
    submitTimeout: ({ context: { limits, turn } }) => (turn?.kind === 'prompt' ? limits.submitTimeoutMs : limits.stallTimeoutMs),
    stepDelay: ({ context: { limits, turn } }) => stepDelayOf(turn, limits),
    settleDelay: ({ context: { limits, turn } }) => settleDelayOf(turn, limits),
    reconcileRetry: ({ context }) => context.limits.reconcileRetryMs,
    abortRetry: ({ context }) => Math.min(1000, context.limits.abortTimeoutMs / 2),
    abortTimeout: ({ context }) => context.limits.abortTimeoutMs,
    quarantine: ({ context: { turn, limits } }) => turn?.abortWithinMs ?? limits.quarantineMs,
  },
});

/** What the end of each timer is told as. A session has one of each at most. */
const clocks = {
  stall: 'stall.due',
  step: 'step.due',
  ask: 'ask.due',
  work: 'work.due',
  quarantine: 'quarantine.due',
  abort: 'abort.again',
} as const;

const stops = Object.fromEntries(Object.keys(clocks).map((name) => [name, decisions.cancel(name)] as const)) as Record<
  keyof typeof clocks,
  ReturnType<typeof decisions.cancel>
>;

type ClockDelay = 'workRemainder' | 'stallRemainder' | 'stallGrace' | 'stepDelay' | 'askRemainder' | 'quarantine' | 'abortRetry';

/** Made once: XState warns of actions that are made while an effect of another machine runs. */
const clock = (name: keyof typeof clocks, delay: ClockDelay) => {
  const start = decisions.raise({ type: clocks[name] }, { delay, id: name });
  return decisions.enqueueActions(({ enqueue }) => {
    enqueue(stops[name]);
    enqueue(start);
  });
};

const workClock = clock('work', 'workRemainder');

export const sessionSetup = decisions.extend({
  actions: {
    startStallClock: clock('stall', 'stallRemainder'),
    startStallGrace: clock('stall', 'stallGrace'),
    // Most turns have no such limit, and need no timer.
    startWorkClock: decisions.enqueueActions(({ context, enqueue }) => {
      if (context.turn?.limits.workingMs != null) enqueue(workClock);
    }),
    stopWorkClock: stops.work,
    startStepClock: clock('step', 'stepDelay'),
    startAskClock: clock('ask', 'askRemainder'),
    startQuarantineClock: clock('quarantine', 'quarantine'),
    scheduleAbort: clock('abort', 'abortRetry'),
    stopClocks: decisions.enqueueActions(({ enqueue }) => {
      for (const stop of Object.values(stops)) enqueue(stop);
    }),
  },
});

/** How long the ask that was opened first may stay open. */
function askRemainder({ turn, limits: { askTimeoutMs } }: SessionContext): number {
  const firstMs = Math.min(...(turn?.openAsks ?? []).map(({ atMs }) => atMs));
  return Math.max(0, askTimeoutMs - ((turn?.lastAtMs ?? 0) - firstMs));
}

/** How long the turn may still be quiet: while somebody is asked, and while opencode waits for the provider, nothing is expected. */
function stallRemainder({ turn, limits }: SessionContext, event: SessionMachineEvent): number {
  const stallTimeoutMs = longestQuietMs(turn, limits);
  if (!turn || turn.openAsks.length > 0) return stallTimeoutMs;
  const agoMs = event.type === 'progress' ? event.agoMs : event.type === 'snapshot.read' ? event.reading.agoMs : 0;
  const atMs = 'atMs' in event ? event.atMs : turn.lastAtMs;
  return Math.max(stallTimeoutMs - agoMs, turn.retry ? turn.retry.nextAtMs + stallTimeoutMs - atMs : 0);
}

function isSilent(context: SessionContext, event: EventOf<'progress'>): boolean {
  return stallRemainder(context, event) <= 0;
}

function confirmsStall({ turn, limits }: SessionContext, { status, history, agoMs }: EventOf<'snapshot.read'>['reading']): boolean {
  const isBusy = status.value === 'busy' && (turn?.statusAtMs ?? 0) < status.sinceMs;
  return isBusy && turn?.openAsks.length === 0 && history?.changed === false && agoMs >= longestQuietMs(turn, limits);
}

/** What a read must look at: events that were followed from the start have told the rest. */
export function readRequestOf({ turn }: SessionContext): ReadRequest {
  const followed = turn !== null && turn.followedSinceMs !== null;
  // No event tells the exit code of a shell line.
  const isUnjudged = turn?.kind === 'shell' && turn.final?.exitCode === undefined;
  const history =
    isUnjudged || !followed || turn.final === null || !isHistoryWhole(turn) || mayGoOn(turn) || turn.stallSuspected || !turn.accepted;
  const isTold = followed && turn.gaps === 0 && turn.final?.source === 'events' && busyChildrenOf(turn).length === 0;
  return { history, descendants: !isTold };
}
