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
  params: ({ event }: { event: SessionMachineEvent }) => ({ ids: [(event as { readonly sessionId: string }).sessionId] }),
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

const begun = { target: '#session.active', actions: ['beginTurn', 'startWorkClock'] } as const;

const resumed = {
  target: '#session.active.reconciling',
  actions: ['resumeTurn', 'startStallClock'],
  description: 'The server was lost after the end of the turn.',
} as const;

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
    'server.exited': { target: '.dead.gone' },
  },
  states: {
    idle: {
      description: 'No turn in flight; can take one.',
      on: {
        'turn.submit': begun,
        'turn.resume': resumed,
      },
    },
    active: {
      description: 'A turn in flight.',
      initial: 'submitting',
      exit: 'stopClocks',
      on: {
        'turn.accepted': { actions: 'recordFact' },
        'session.busy': { actions: 'recordFact' },
        'session.idle': { actions: ['recordFact', 'startStepClock'] },
        'session.retrying': [
          { guard: 'retryIsTooLong', actions: ['recordFact', 'decideOnRetry'], description: 'Not worth the wait.' },
          { actions: 'recordFact' },
        ],
        'session.errored': { actions: ['recordFact', 'startStepClock'] },
        'message.started': { actions: 'recordFact' },
        'message.finalised': { actions: ['recordFact', 'startStepClock'] },
        'step.due': { guard: 'isUnfollowed', target: '.reconciling', description: 'A step ended, and no event tells what follows.' },
        'ask.opened': { actions: ['recordFact', 'startAskClock', answer] },
        'ask.closed': { actions: ['recordFact', 'startAskClock', 'startStallClock'] },
        'ask.due': { guard: 'isAskOpen', actions: 'decideNeedsInput', description: 'Nobody answered.' },
        'child.busy': { actions: 'recordFact' },
        'child.quiet': [
          { guard: 'leavesAsk', target: '.reconciling', actions: 'recordFact', description: 'Nobody waits for its ask any more: look.' },
          { actions: 'recordFact' },
        ],
        'child.deleted': { actions: abortChild, description: 'opencode goes on with it.' },
        'snapshot.read': [
          { guard: 'readConfirmsStall', actions: ['recordFact', 'decideStalled'], description: 'Busy, and nothing has changed.' },
          { guard: 'retryIsTooLong', actions: ['recordFact', 'decideOnRetry'], description: 'Not worth the wait.' },
          { actions: ['recordFact', 'startAskClock', answer] },
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
          { actions: ['clearSuspicion', 'startStallClock'] },
        ],
        'loop.seen': { guard: 'isLoop', actions: 'decideRunaway' },
        'usage.seen': [
          { guard: 'isOverBudget', actions: ['noteSpent', 'decideOverBudget'], description: 'It would go on, and has used what it may.' },
          { actions: 'noteSpent' },
        ],
        'work.due': { guard: 'isOutOfWork', actions: 'decideOutOfWork', description: 'It has worked as long as it may.' },
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
          exit: 'startStallClock',
          always: [
            abortWhenDecided,
            { guard: 'isAccepted', target: 'running' },
            { guard: 'mustBeRead', target: 'reconciling', description: 'No event will tell of it before its end.' },
          ],
          on: {
            'turn.unknown': {
              target: 'reconciling',
              actions: 'recordUnknown',
              description: 'No answer: read the history back before anything else.',
            },
          },
          after: { submitTimeout: { target: 'reconciling' } },
        },
        running: {
          description: 'The server works on it.',
          always: [
            abortWhenDecided,
            { guard: phaseIs('reconciling'), target: 'reconciling', description: 'The stream has a gap that no read has closed.' },
            { guard: phaseIs('awaitingInput'), target: 'awaitingInput' },
            { guard: phaseIs('backingOff'), target: 'backingOff' },
            { guard: phaseIs('waitingOnChildren'), target: 'waitingOnChildren' },
            { guard: phaseIs('settling'), target: 'settling' },
          ],
        },
        backingOff: {
          description: 'opencode waits before it asks the provider again.',
          entry: ['pauseWork', 'stopWorkClock'],
          exit: ['resumeWork', 'startWorkClock'],
          always: { guard: phaseIsNot('backingOff'), target: 'running' },
        },
        awaitingInput: {
          description: 'A permission request or question is open.',
          entry: ['pauseWork', 'stopWorkClock'],
          exit: ['resumeWork', 'startWorkClock'],
          always: { guard: phaseIsNot('awaitingInput'), target: 'running' },
        },
        waitingOnChildren: {
          description: 'A sub-agent session is busy.',
          always: { guard: phaseIsNot('waitingOnChildren'), target: 'running' },
        },
        settling: {
          description: 'The session was told idle, but the proof has a hole; it usually closes within milliseconds.',
          always: [...ends, { guard: phaseIsNot('settling'), target: 'running' }],
          after: { settleDelay: { target: 'reconciling' } },
        },
        reconciling: {
          description: "The server's state is read, because events alone cannot tell.",
          entry: ['expectRead', read],
          always: [abortWhenDecided, ...ends, givesUp, { guard: 'isReconciled', target: 'running', actions: 'startStepClock' }],
          on: { 'stream.live': { target: 'reconciling', reenter: true, actions: 'regainStream' } },
          after: { reconcileRetry: { target: 'reconciling', reenter: true, description: 'No conclusive read yet.' } },
        },
        aborting: {
          description: 'The outcome is decided; the abort is repeated until it is confirmed, or the session quarantined.',
          entry: ['startQuarantineClock', 'requestAbort', 'scheduleAbort'],
          always: [
            { guard: 'abortIsConfirmedWell', target: '#session.idle', actions: ['concludeTurn', 'announceEnd'] },
            { guard: 'abortIsConfirmed', target: '#session.error', actions: ['concludeTurn', 'announceEnd'] },
          ],
          on: {
            'session.busy': {
              actions: ['recordFact', 'requestAbort'],
              description: 'It has only begun now: the abort before did nothing.',
            },
            'session.idle': { actions: ['recordFact', read] },
            'stall.due': { description: 'Its silence decides nothing any more.' },
            'abort.again': { actions: ['requestAbort', abortBusyChildren, read, 'scheduleAbort'], description: 'Once more, and look.' },
            'turn.abort': { guard: 'hasNewBound', actions: ['boundAbort', 'startQuarantineClock'] },
            'quarantine.due': {
              target: '#session.dead.quarantined',
              actions: ['quarantine', 'announceEnd'],
              description: 'Unconfirmed: the session is not used again, and followed to its end.',
            },
          },
          after: { abortTimeout: { actions: 'endTools', description: 'Unconfirmed: end what its tools have started.' } },
        },
      },
    },
    error: {
      description: 'The last turn failed; the session can be retried or recovered.',
      on: {
        'turn.submit': begun,
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
          entry: 'requestAbort',
          on: {
            'session.busy': { actions: 'requestAbort', description: 'It has begun late.' },
            'session.deleted': { description: 'opencode goes on with what it has taken.' },
            'stream.live': { actions: ['regainStream', 'requestAbort'], description: 'It may have begun meanwhile.' },
            'server.interrupted': { target: 'gone', description: 'What still ran ended with its server.' },
          },
        },
      },
    },
  },
});
