import { limitsOf, readRequestOf, sessionSetup } from './session.setup.ts';
import { busyChildrenOf } from './turn.ts';
import type { SessionContext, SessionMachineEvent, TurnPhase } from './session.types.ts';

const phaseIs = (phase: TurnPhase) => ({ type: 'phaseIs', params: { phase } }) as const;
const phaseIsNot = (phase: TurnPhase) => ({ type: 'phaseIsNot', params: { phase } }) as const;

const read = {
  type: 'requestSnapshot',
  params: ({ context }: { context: SessionContext }) => readRequestOf(context),
} as const;
const answer = {
  type: 'answerAsks',
  params: ({ context }: { context: SessionContext }) => ({ ids: context.turn?.openAsks.map(({ id }) => id) ?? [] }),
} as const;

const abortChild = {
  type: 'abortChildren',
  params: ({ event }: { event: SessionMachineEvent }) => ({ ids: 'sessionId' in event ? [event.sessionId] : [] }),
} as const;

const abortBusyChildren = {
  type: 'abortChildren',
  params: ({ context }: { context: SessionContext }) => ({ ids: context.turn ? busyChildrenOf(context.turn) : [] }),
} as const;

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

const givesUp = {
  guard: 'isExhausted',
  target: '#session.dead.quarantined',
  actions: ['quarantine', 'announceEnd'],
  description: 'Idle for long, with no answer that ended: it may still begin, and nobody would wait for it.',
} as const;

const resumed = {
  target: '#session.active.reconciling',
  actions: ['resumeTurn', 'startStallClock'],
  description: 'The server was lost after the end of the turn.',
} as const;

/** What `aborting` and `escalating` have in common. The abort is repeated until it is confirmed, or the session quarantined. */
const ending = {
  always: [
    { guard: 'abortIsConfirmedWell', target: '#session.idle', actions: ['concludeTurn', 'announceEnd'] },
    { guard: 'abortIsConfirmed', target: '#session.error', actions: ['concludeTurn', 'announceEnd'] },
  ],
  on: {
    'child.deleted': { actions: abortChild },
    'session.busy': { actions: ['recordFact', 'requestAbort'], description: 'It has only begun now: the abort before did nothing.' },
    'session.idle': { actions: ['recordFact', read] },
    'child.busy': { actions: ['recordFact', abortChild] },
    'abort.again': { actions: ['requestAbort', abortBusyChildren, read, 'scheduleAbort'], description: 'Once more, and look.' },
    'turn.abort': { guard: 'hasNewBound', actions: ['boundAbort', 'stopQuarantineClock', 'startQuarantineClock'] },
    'quarantine.due': {
      target: '#session.dead.quarantined',
      actions: ['quarantine', 'announceEnd'],
      description: 'Unconfirmed: the session is not used again, and followed to its end.',
    },
    'stream.gap': { actions: 'loseStream' },
    'stream.live': { actions: ['regainStream', read] },
    'stall.due': {},
    'step.due': {},
    progress: {},
  },
} as const;

/** States in which the events are followed; a gap makes them worth nothing until a read has closed it. */
const reconcileAfterGap = { 'stream.gap': { target: 'reconciling', actions: 'loseStream' } } as const;

/**
 * The life of one session: `idle`, `active` (a turn in flight), `error` (the last turn failed), `dead`. Pure: effects (`submitTurn`,
 * `requestAbort`, `requestSnapshot`, `answerAsks`, `abortChildren`, `endTools`, `lookForProgress`) reach nobody until a host provides them. A turn's
 * outcome is decided once, and its end is proven by facts, never by one event. Emits `turn.finished` exactly once a turn.
 *
 * @example
 * const actor = createActor(sessionMachine, { input: { sessionId: 'ses_1', directory: '/work' } }).start()
 * actor.send({ type: 'turn.submit', taskId: 't1', messageId: 'msg_1', kind: 'prompt', timeoutMs: null, atMs: 0 })
 * @public
 */
export const sessionMachine = sessionSetup.createMachine({
  id: 'session',
  description: 'One session of the server: takes one turn at a time and proves its end.',
  context: ({ input }) => ({
    sessionId: input.sessionId,
    directory: input.directory,
    limits: limitsOf(input.limits),
    liveSinceMs: (input.streamLive ?? true) ? (input.atMs ?? 0) : null,
    turns: 0,
    resumptions: 0,
    pastAsks: [],
    turn: null,
    lastTurn: null,
  }),
  initial: 'idle',
  on: {
    'stream.gap': { actions: 'loseStream' },
    'stream.live': { actions: 'regainStream' },
    'ask.opened': { actions: 'rememberAsk', description: "An earlier turn's." },
    'child.busy': { actions: abortChild, description: 'A sub-agent that began after the end of its turn: nobody waits for it.' },
    'session.deleted': { target: '.dead.gone' },
    'session.failed': { target: '.dead.gone' },
    'server.exited': { target: '.dead.gone' },
    'server.interrupted': { actions: 'loseStream' },
  },
  states: {
    idle: {
      description: 'No turn in flight; can take one.',
      on: {
        'turn.submit': { target: 'active', actions: 'beginTurn' },
        'turn.resume': resumed,
      },
    },
    active: {
      description: 'A turn in flight.',
      initial: 'submitting',
      exit: ['stopStallClock', 'stopAskClock', 'stopStepClock', 'stopQuarantineClock', 'stopAbortClock'],
      on: {
        'turn.accepted': { actions: 'recordFact' },
        'session.busy': { actions: 'recordFact' },
        'session.idle': { actions: ['recordFact', 'stopStepClock', 'startStepClock'] },
        'session.retrying': [
          { guard: 'retryIsTooLong', actions: ['recordFact', 'decideOnRetry'], description: 'Not worth the wait.' },
          { actions: 'recordFact' },
        ],
        'session.errored': { actions: ['recordFact', 'stopStepClock', 'startStepClock'] },
        'message.started': { actions: ['recordFact', 'stopStepClock'] },
        'message.finalised': { actions: ['recordFact', 'stopStepClock', 'startStepClock'] },
        'step.due': { guard: 'isUnfollowed', target: '.reconciling', description: 'A step ended, and no event tells what follows.' },
        'ask.opened': { actions: ['recordFact', 'stopAskClock', 'startAskClock', answer] },
        'ask.closed': { actions: ['recordFact', 'stopAskClock', 'startAskClock', 'stopStallClock', 'startStallClock'] },
        'ask.due': { guard: 'isAskOpen', actions: 'decideNeedsInput', description: 'Nobody answered.' },
        'child.busy': { actions: 'recordFact' },
        'child.quiet': { actions: 'recordFact' },
        'child.deleted': { target: '.reconciling', actions: abortChild, description: 'opencode goes on with it: end it, and look.' },
        'snapshot.read': [
          { guard: 'readConfirmsStall', actions: ['recordFact', 'decideStalled'], description: 'Busy, and nothing has changed.' },
          { guard: 'retryIsTooLong', actions: ['recordFact', 'decideOnRetry'], description: 'Not worth the wait.' },
          {
            guard: 'readShowsActivity',
            actions: ['recordFact', 'clearSuspicion', 'stopStallClock', 'restartStallClock', 'stopAskClock', 'startAskClock', answer],
          },
          { actions: ['recordFact', 'stopAskClock', 'startAskClock', answer] },
        ],
        'stall.due': { actions: 'lookForProgress' },
        progress: [
          { guard: 'isStalled', actions: 'decideStalled', description: 'The server does not answer reads either.' },
          {
            guard: 'isSilent',
            target: '.reconciling',
            actions: ['suspectStall', 'startStallGrace'],
            description: 'No activity: ask the server before judging.',
          },
          { actions: ['clearSuspicion', 'restartStallClock'] },
        ],
        'loop.seen': { guard: 'isLoop', actions: 'decideRunaway' },
        'answer.oversized': { guard: 'isOversized', actions: 'decideOversized', description: 'The server keeps all of it in memory.' },
        'turn.refused': { target: 'error', actions: ['decideRefused', 'concludeTurn', 'announceEnd'], description: 'Nothing was sent.' },
        'turn.unknown': { actions: 'recordUnknown' },
        'turn.abort': { actions: ['decideAborted', 'boundAbort'] },
        'session.deleted': {
          target: 'dead.quarantined',
          actions: ['decideInterrupted', 'quarantine', 'announceEnd'],
          description: 'opencode goes on with the turn of a session that is deleted.',
        },
        'session.failed': { target: 'dead.gone', actions: ['decideInterrupted', 'concludeTurn', 'announceEnd'] },
        'server.exited': { target: 'dead.gone', actions: ['decideServerLost', 'concludeTurn', 'announceEnd'] },
        'server.interrupted': { target: 'error', actions: ['loseStream', 'decideInterrupted', 'concludeTurn', 'announceEnd'] },
      },
      after: {
        taskTimeout: { guard: 'hasTimeout', actions: 'decideTimedOut', description: "The task's deadline." },
      },
      states: {
        submitting: {
          description: 'The turn is on its way; sent once.',
          entry: 'submitTurn',
          exit: ['stopSubmissionClock', 'startStallClock'],
          always: [
            { guard: 'isAccepted', target: 'running' },
            { guard: 'mustBeRead', target: 'reconciling', description: 'No event will tell of it before its end.' },
          ],
          on: {
            'turn.unknown': {
              target: 'reconciling',
              actions: 'recordUnknown',
              description: 'No answer: read the history back before anything else.',
            },
            'turn.abort': { actions: ['decideAborted', 'boundAbort', 'startSubmissionClock'], description: 'Aborted once it is accepted.' },
            'submit.overdue': { target: 'reconciling', description: 'The turn is to end, and was not accepted in time.' },
            'stream.gap': [
              {
                guard: 'answersAtItsEnd',
                target: 'reconciling',
                actions: 'loseStream',
                description: 'Only events would tell of it before its end.',
              },
              { actions: 'loseStream', description: 'The acceptance comes by the answer of the request.' },
            ],
          },
          after: { submitTimeout: { target: 'reconciling' } },
        },
        running: {
          description: 'The server works on it.',
          always: [
            abortWhenDecided,
            ...ends,
            givesUp,
            { guard: 'isStale', target: 'reconciling', description: 'The stream has a gap that no read has closed.' },
            { guard: phaseIs('awaitingInput'), target: 'awaitingInput' },
            { guard: phaseIs('backingOff'), target: 'backingOff' },
            { guard: phaseIs('waitingOnChildren'), target: 'waitingOnChildren' },
            { guard: phaseIs('settling'), target: 'settling' },
          ],
          on: reconcileAfterGap,
        },
        backingOff: {
          description: 'opencode waits before it asks the provider again.',
          always: [abortWhenDecided, { guard: phaseIsNot('backingOff'), target: 'running' }],
          on: reconcileAfterGap,
        },
        awaitingInput: {
          description: 'A permission request or question is open.',
          always: [abortWhenDecided, { guard: phaseIsNot('awaitingInput'), target: 'running' }],
          on: reconcileAfterGap,
        },
        waitingOnChildren: {
          description: 'A sub-agent session is busy.',
          always: [abortWhenDecided, { guard: phaseIsNot('waitingOnChildren'), target: 'running' }],
          on: reconcileAfterGap,
        },
        settling: {
          description: 'The session was told idle, but the proof has a hole; it usually closes within milliseconds.',
          always: [abortWhenDecided, ...ends, givesUp, { guard: phaseIsNot('settling'), target: 'running' }],
          on: reconcileAfterGap,
          after: { settleDelay: { target: 'reconciling' } },
        },
        reconciling: {
          description: "The server's state is read, because events alone cannot tell.",
          entry: ['expectRead', read],
          always: [
            abortWhenDecided,
            ...ends,
            givesUp,
            { guard: 'isReconciled', target: 'running', actions: ['stopStepClock', 'startStepClock'] },
          ],
          on: {
            'stream.gap': { actions: 'loseStream' },
            'stream.live': { target: 'reconciling', reenter: true, actions: 'regainStream' },
          },
          after: { reconcileRetry: { target: 'reconciling', reenter: true, description: 'No conclusive read yet.' } },
        },
        aborting: {
          description: 'The outcome is decided; the abort waits for its confirmation.',
          entry: ['stopStallClock', 'startQuarantineClock', 'requestAbort', 'scheduleAbort'],
          ...ending,
          after: { abortTimeout: { target: 'escalating', description: 'Unconfirmed: end what its tools have started.' } },
        },
        escalating: {
          description: 'No abort was confirmed: what its tools have started is ended, and the abort is asked for again.',
          entry: ['endTools', 'requestAbort', read],
          ...ending,
        },
      },
    },
    error: {
      description: 'The last turn failed; the session can be retried or recovered.',
      on: {
        'turn.submit': { target: 'active', actions: 'beginTurn' },
        'turn.resume': resumed,
        'session.recover': { target: 'idle' },
      },
    },
    dead: {
      description: 'Takes no turn any more.',
      initial: 'gone',
      states: {
        gone: { description: 'Deleted, failed, or lost with its server.' },
        quarantined: {
          description: 'It is unknown whether the server still works on its last turn: what begins there is aborted.',
          entry: ['requestAbort', 'scheduleAbort', 'startQuarantineClock'],
          exit: ['stopAbortClock', 'stopQuarantineClock'],
          on: {
            'abort.again': { actions: ['requestAbort', 'scheduleAbort'], description: 'It may begin late.' },
            'quarantine.due': { actions: 'stopAbortClock' },
            'session.busy': { actions: 'requestAbort' },
            'session.retrying': { actions: 'requestAbort' },
            'server.interrupted': { target: 'gone', description: 'What still ran ended with its server.' },
          },
        },
      },
    },
  },
});
