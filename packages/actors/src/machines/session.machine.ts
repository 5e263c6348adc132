import { assign, cancel, emit, raise, setup } from 'xstate';
import type {
  SessionContext,
  SessionEmitted,
  SessionInput,
  SessionLimits,
  SessionMachineEvent,
  Turn,
  TurnFact,
  TurnPhase,
} from './session.types.ts';
import { conclude, endOf, settleDelayOf } from './turn-end.ts';
import { beginTurn, phaseOf, recordFact } from './turn-facts.ts';
import { abortedBy, decideOnce, failure, inputNeeded, notAccepted, ranAway, stalled, timedOut } from './turn-verdict.ts';

/** Defaults of every limit; what `createSessionPool` documents. */
export const defaultSessionLimits: SessionLimits = {
  stallTimeoutMs: 300_000,
  askTimeoutMs: 60_000,
  maxRetryWaitMs: 120_000,
  maxRetries: 5,
  abortTimeoutMs: 5000,
  submitTimeoutMs: 20_000,
  settleMs: 150,
  reconcileRetryMs: 2000,
  maxInconclusiveReads: 4,
};

/** Timers overflow above this (about 24.8 days). */
const longestDelayMs = 2 ** 31 - 1;

const withTurn = (change: (turn: Turn, context: SessionContext) => Turn) => (context: SessionContext) =>
  context.turn ? { turn: change(context.turn, context) } : {};

const machineSetup = setup({
  types: {
    context: {} as SessionContext,
    events: {} as SessionMachineEvent,
    emitted: {} as SessionEmitted,
    input: {} as SessionInput,
  },
  actions: {
    // Effects: the host provides them. Alone, the machine is pure.
    submitTurn: () => {},
    requestAbort: () => {},
    requestSnapshot: () => {},
    endTools: () => {},
    // A host that knows of a sign of life since answers with `progress`; alone, the machine takes the quiet for silence.
    lookForProgress: raise({ type: 'turn.silent' }),
    announceEnd: emit(({ context }): SessionEmitted => ({ type: 'turn.finished', turn: context.lastTurn! })),
    beginTurn: assign(({ context, event }) =>
      event.type === 'turn.submit' ? { turn: { ...beginTurn(event), stale: !context.streamLive }, turns: context.turns + 1 } : {},
    ),
    // Nothing is sent again: the turn is known to be over, and a read proves it.
    resumeTurn: assign(({ context, event }) =>
      event.type === 'turn.resume'
        ? {
            turn: { ...beginTurn(event), accepted: true, gaps: 1, stale: !context.streamLive },
            resumptions: context.resumptions + 1,
          }
        : {},
    ),
    recordFact: assign(({ context, event }) => withTurn((turn) => recordFact(turn, event as TurnFact, context))(context)),
    recordUnknown: assign(({ context, event }) =>
      withTurn((turn) => ({ ...turn, submitError: event.type === 'turn.unknown' ? event.error : turn.submitError }))(context),
    ),
    recordRefusal: assign(({ context, event }) =>
      withTurn((turn) => (event.type === 'turn.refused' ? decideOnce(turn, { outcome: 'failed', error: event.error }) : turn))(context),
    ),
    expectRead: assign(({ context }) =>
      withTurn((turn) => ({ ...turn, readPending: true, unansweredReads: turn.unansweredReads + 1 }))(context),
    ),
    suspectStall: assign(({ context }) => withTurn((turn) => ({ ...turn, stallSuspected: true }))(context)),
    clearSuspicion: assign(({ context }) => withTurn((turn) => ({ ...turn, stallSuspected: false }))(context)),
    // Only an idle that is seen after the abort was sent confirms it.
    forgetIdle: assign(({ context }) => withTurn((turn) => ({ ...turn, idle: null, idleIsEarly: false, inconclusiveReads: 0 }))(context)),
    loseStream: assign(({ context }) => ({
      streamLive: false,
      ...withTurn((turn) => ({ ...turn, stale: true, gaps: turn.gaps + 1, readPending: true }))(context),
    })),
    regainStream: assign({ streamLive: true }),
    // A turn that is to end waits this long for its acceptance, then is looked for and aborted.
    limitSubmission: raise({ type: 'submit.overdue' }, { delay: 'abortTimeout', id: 'submit.overdue' }),
    forgetSubmission: cancel('submit.overdue'),
    decideTimedOut: assign(({ context }) => withTurn((turn) => decideOnce(turn, timedOut(turn)))(context)),
    decideStalled: assign(({ context }) => withTurn((turn, { limits }) => decideOnce(turn, stalled(limits)))(context)),
    decideAborted: assign(({ context, event }) =>
      withTurn((turn) => decideOnce(turn, abortedBy(event.type === 'turn.abort' ? event.reason : undefined)))(context),
    ),
    decideRunaway: assign(({ context, event }) =>
      withTurn((turn) => (event.type === 'turn.runaway' ? decideOnce(turn, ranAway(event.reason)) : turn))(context),
    ),
    decideNeedsInput: assign(({ context }) =>
      withTurn((turn, { limits }) => (turn.openAsks[0] ? decideOnce(turn, inputNeeded(turn.openAsks[0], limits)) : turn))(context),
    ),
    decideNotAccepted: assign(({ context }) => withTurn((turn) => decideOnce(turn, notAccepted(turn)))(context)),
    decideServerLost: assign(({ context, event }) =>
      withTurn((turn) => (event.type === 'server.exited' ? decideOnce(turn, { outcome: 'server_lost', error: event.error }) : turn))(
        context,
      ),
    ),
    decideServerInterrupted: assign(({ context, event }) =>
      withTurn((turn) => (event.type === 'server.interrupted' ? decideOnce(turn, { outcome: 'interrupted', error: event.error }) : turn))(
        context,
      ),
    ),
    decideInterrupted: assign(({ context, event }) =>
      withTurn((turn) =>
        decideOnce(turn, {
          outcome: 'interrupted',
          error: event.type === 'session.failed' ? event.error : failure('TURN_INTERRUPTED', 'The session was deleted during the turn.'),
        }),
      )(context),
    ),
    concludeTurn: assign(({ context }) => conclude(context, false)),
    quarantine: assign(({ context }) => conclude(context, true)),
  },
  guards: {
    endsWell: ({ context }) => endOf(context, false) === 'well',
    endsBadly: ({ context }) => endOf(context, false) === 'badly',
    abortEndsWell: ({ context }) => endOf(context, true) === 'well',
    abortEndsBadly: ({ context }) => endOf(context, true) === 'badly',
    phaseIs: ({ context }, { phase }: { phase: TurnPhase }) => context.turn !== null && phaseOf(context.turn) === phase,
    phaseIsNot: ({ context }, { phase }: { phase: TurnPhase }) => context.turn !== null && phaseOf(context.turn) !== phase,
    isAccepted: ({ context }) => context.turn?.accepted === true,
    isReconciled: ({ context: { turn } }) => turn !== null && turn.accepted && !turn.readPending && !turn.stale,
    isStale: ({ context }) => context.turn?.stale === true,
    readsKeepFailing: ({ context: { turn, limits } }) =>
      turn !== null && turn.unansweredReads * limits.reconcileRetryMs >= limits.stallTimeoutMs,
    neverArrived: ({ context: { turn, limits } }) =>
      turn !== null && !turn.accepted && turn.inconclusiveReads >= limits.maxInconclusiveReads,
    hasTimeout: ({ context }) => context.turn !== null && context.turn.timeoutMs !== null,
  },
  delays: {
    taskTimeout: ({ context }) => Math.min(context.turn?.timeoutMs ?? longestDelayMs, longestDelayMs),
    // From the newest sign of life on, which the host may have known of for a while.
    stallTimeout: ({ context: { limits }, event }) =>
      Math.max(0, limits.stallTimeoutMs - (event.type === 'progress' ? (event.agoMs ?? 0) : 0)),
    // A command's templates may run shell lines before its message is stored.
    submitTimeout: ({ context: { limits, turn } }) => (turn?.kind === 'prompt' ? limits.submitTimeoutMs : limits.stallTimeoutMs),
    settleDelay: ({ context: { limits, turn } }) => settleDelayOf(turn, limits),
    reconcileRetry: ({ context }) => context.limits.reconcileRetryMs,
    askDeadline: ({ context: { limits, turn } }) =>
      Math.max(0, (turn?.openAsks[0]?.atMs ?? 0) + limits.askTimeoutMs - (turn?.lastAtMs ?? 0)),
    backoffOverdue: ({ context: { limits, turn } }) =>
      Math.min(longestDelayMs, Math.max(0, (turn?.retry?.nextAtMs ?? 0) - (turn?.lastAtMs ?? 0)) + limits.stallTimeoutMs),
    abortRetry: ({ context }) => Math.min(1000, context.limits.abortTimeoutMs / 2),
    abortTimeout: ({ context }) => context.limits.abortTimeoutMs,
  },
});

const phaseIs = (phase: TurnPhase) => ({ type: 'phaseIs', params: { phase } }) as const;
const phaseIsNot = (phase: TurnPhase) => ({ type: 'phaseIsNot', params: { phase } }) as const;
const abortWhenDecided = {
  guard: phaseIs('aborting'),
  target: 'aborting',
  description: 'The outcome is decided: end the turn on the server.',
} as const;
const ends = [
  {
    guard: 'endsWell',
    target: '#session.idle',
    actions: ['concludeTurn', 'announceEnd'],
    description: 'The end is proven, and the answer is good.',
  },
  {
    guard: 'endsBadly',
    target: '#session.error',
    actions: ['concludeTurn', 'announceEnd'],
    description: 'The end is proven, and the turn failed.',
  },
] as const;

const abortEnds = [
  { guard: 'abortEndsWell', target: '#session.idle', actions: ['concludeTurn', 'announceEnd'] },
  { guard: 'abortEndsBadly', target: '#session.error', actions: ['concludeTurn', 'announceEnd'] },
] as const;

/**
 * The life of one session: `idle`, `active` (a turn in flight), `error` (the last turn failed), `dead` (final). Pure:
 * effects (`submitTurn`, `requestAbort`, `requestSnapshot`, `endTools`, `lookForProgress`) reach nobody until a host provides them. A turn's outcome is
 * decided once, and its end is proven by facts, never by one event. Emits `turn.finished` exactly once a turn.
 *
 * @example
 * const actor = createActor(sessionMachine, { input: { sessionId: 'ses_1', directory: '/work' } }).start()
 * actor.send({ type: 'turn.submit', taskId: 't1', messageId: 'msg_1', kind: 'prompt', timeoutMs: null, atMs: 0 })
 * @public
 */
export const sessionMachine = machineSetup.createMachine({
  id: 'session',
  description: 'One session of the server: takes one turn at a time and proves its end.',
  context: ({ input }) => ({
    sessionId: input.sessionId,
    directory: input.directory,
    limits: { ...defaultSessionLimits, ...input.limits },
    streamLive: input.streamLive ?? true,
    turns: 0,
    resumptions: 0,
    turn: null,
    lastTurn: null,
  }),
  initial: 'idle',
  on: {
    'stream.gap': { actions: 'loseStream' },
    'stream.live': { actions: 'regainStream' },
    'session.deleted': { target: '.dead' },
    'session.failed': { target: '.dead' },
    'server.exited': { target: '.dead' },
    'server.interrupted': { actions: 'loseStream' },
  },
  states: {
    idle: {
      description: 'No turn in flight; can take one.',
      on: { 'turn.submit': { target: 'active', actions: 'beginTurn' } },
    },
    active: {
      description: 'A turn in flight.',
      initial: 'submitting',
      on: {
        'turn.accepted': { actions: 'recordFact' },
        'session.busy': { actions: 'recordFact' },
        'session.idle': { actions: 'recordFact' },
        'session.retrying': { actions: 'recordFact' },
        'session.errored': { actions: 'recordFact' },
        'message.started': { actions: 'recordFact' },
        'message.finalised': { actions: 'recordFact' },
        'ask.opened': { actions: 'recordFact' },
        'ask.closed': { actions: 'recordFact' },
        'child.busy': { actions: 'recordFact' },
        'child.quiet': { actions: 'recordFact' },
        'snapshot.read': { actions: 'recordFact' },
        'turn.abort': { actions: 'decideAborted' },
        'turn.runaway': { actions: 'decideRunaway' },
        'session.deleted': { target: 'dead', actions: ['decideInterrupted', 'concludeTurn', 'announceEnd'] },
        'session.failed': { target: 'dead', actions: ['decideInterrupted', 'concludeTurn', 'announceEnd'] },
        'server.exited': { target: 'dead', actions: ['decideServerLost', 'concludeTurn', 'announceEnd'] },
        'server.interrupted': { target: 'error', actions: ['loseStream', 'decideServerInterrupted', 'concludeTurn', 'announceEnd'] },
      },
      after: {
        taskTimeout: { guard: 'hasTimeout', actions: 'decideTimedOut', description: "The task's deadline." },
      },
      states: {
        submitting: {
          description: 'The turn is on its way; sent once.',
          entry: 'submitTurn',
          exit: 'forgetSubmission',
          always: [{ guard: 'isAccepted', target: 'running' }],
          on: {
            'turn.refused': { target: '#session.error', actions: ['recordRefusal', 'concludeTurn', 'announceEnd'] },
            'turn.unknown': {
              target: 'reconciling',
              actions: 'recordUnknown',
              description: 'No answer: read the history back before anything else.',
            },
            'turn.abort': { actions: ['decideAborted', 'limitSubmission'], description: 'Aborted once it is accepted.' },
            'submit.overdue': { target: 'reconciling', description: 'The turn is to end, and was not accepted in time.' },
            'stream.gap': { actions: 'loseStream', description: 'The acceptance comes by the answer of the request.' },
          },
          after: { submitTimeout: { target: 'reconciling' } },
        },
        running: {
          description: 'The server works on it.',
          always: [
            abortWhenDecided,
            ...ends,
            { guard: 'isStale', target: 'reconciling', description: 'The stream had a gap while the turn was sent.' },
            { guard: phaseIs('awaitingInput'), target: 'awaitingInput' },
            { guard: phaseIs('backingOff'), target: 'backingOff' },
            { guard: phaseIs('waitingOnChildren'), target: 'waitingOnChildren' },
            { guard: phaseIs('settling'), target: 'settling' },
          ],
          on: {
            progress: { target: 'running', reenter: true },
            'turn.silent': { target: 'reconciling', actions: 'suspectStall', description: 'No progress: ask the server before judging.' },
            'stream.gap': { target: 'reconciling', actions: 'loseStream' },
          },
          after: { stallTimeout: { actions: 'lookForProgress' } },
        },
        backingOff: {
          description: 'opencode waits before it asks the provider again.',
          always: [abortWhenDecided, { guard: phaseIsNot('backingOff'), target: 'running' }],
          on: {
            'session.retrying': { target: 'backingOff', reenter: true, actions: 'recordFact' },
            'stream.gap': { target: 'reconciling', actions: 'loseStream' },
          },
          after: { backoffOverdue: { target: 'reconciling', actions: 'suspectStall' } },
        },
        awaitingInput: {
          description: 'A permission or question is open.',
          always: [abortWhenDecided, { guard: phaseIsNot('awaitingInput'), target: 'running' }],
          on: {
            'ask.closed': { target: 'awaitingInput', reenter: true, actions: 'recordFact' },
            'stream.gap': { target: 'reconciling', actions: 'loseStream' },
          },
          after: { askDeadline: { actions: 'decideNeedsInput', description: 'Nobody answered.' } },
        },
        waitingOnChildren: {
          description: 'A sub-agent session is busy.',
          always: [abortWhenDecided, { guard: phaseIsNot('waitingOnChildren'), target: 'running' }],
          on: {
            progress: { target: 'waitingOnChildren', reenter: true },
            'turn.silent': { target: 'reconciling', actions: 'suspectStall' },
            'stream.gap': { target: 'reconciling', actions: 'loseStream' },
          },
          after: { stallTimeout: { actions: 'lookForProgress' } },
        },
        settling: {
          description: 'The server is idle, but the proof has a hole; it usually closes within milliseconds.',
          always: [abortWhenDecided, ...ends, { guard: phaseIsNot('settling'), target: 'running' }],
          on: { 'stream.gap': { target: 'reconciling', actions: 'loseStream' } },
          after: { settleDelay: { target: 'reconciling' } },
        },
        reconciling: {
          description: "The server's state is read, because events alone cannot tell.",
          entry: ['expectRead', 'requestSnapshot'],
          always: [
            abortWhenDecided,
            ...ends,
            {
              guard: 'neverArrived',
              target: 'aborting',
              actions: 'decideNotAccepted',
              description: 'Never sent again; aborted in case it arrives late.',
            },
            { guard: 'isReconciled', target: 'running' },
          ],
          on: {
            progress: { actions: 'clearSuspicion' },
            'stream.gap': { actions: 'loseStream' },
            'stream.live': { target: 'reconciling', reenter: true, actions: 'regainStream' },
          },
          after: {
            reconcileRetry: [
              { guard: 'readsKeepFailing', actions: 'decideStalled', description: 'The server does not answer reads either.' },
              { target: 'reconciling', reenter: true, description: 'No conclusive read yet.' },
            ],
          },
        },
        aborting: {
          description: 'The outcome is decided; the abort waits for its confirmation.',
          entry: ['forgetIdle', 'requestAbort'],
          always: abortEnds,
          after: {
            abortRetry: { actions: ['requestAbort', 'requestSnapshot'], description: 'Once more, and look.' },
            abortTimeout: { target: 'escalating', description: 'Unconfirmed: end what its tools have started.' },
          },
        },
        escalating: {
          description: 'No abort was confirmed: what its tools have started is ended, and the abort is asked for again.',
          entry: ['endTools', 'requestAbort', 'requestSnapshot'],
          always: abortEnds,
          after: {
            abortRetry: { actions: ['requestAbort', 'requestSnapshot'], description: 'Once more, and look.' },
            abortTimeout: {
              target: '#session.dead',
              actions: ['quarantine', 'announceEnd'],
              description: 'Unconfirmed: the session is not used again.',
            },
          },
        },
      },
    },
    error: {
      description: 'The last turn failed; the session can be retried or recovered.',
      on: {
        'turn.submit': { target: 'active', actions: 'beginTurn' },
        'turn.resume': { target: '#session.active.reconciling', actions: 'resumeTurn', description: 'The server was lost after its end.' },
        'session.recover': { target: 'idle' },
      },
    },
    dead: {
      type: 'final',
      description: 'Deleted, failed, or its abort was never confirmed.',
    },
  },
});
