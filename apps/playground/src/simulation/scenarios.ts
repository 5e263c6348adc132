import type { Point, TurnScript } from '@opencode-manager/simulation';
import type { SimulatedRun } from './simulated-run.ts';
import type { Weather } from './weather.ts';

/** A moment of a story: a time since its beginning, the first record of a kind, or the nth time that the server does something. */
type Moment =
  | { readonly atMs: number }
  | { readonly path: string; readonly actor?: string }
  | { readonly point: Point; readonly nth: number };

/** What happens at a moment, and what is said of it. */
export interface Beat {
  readonly when: Moment;
  readonly text?: string;
  readonly act?: (run: SimulatedRun) => void;
}

/** A story: what is set up, what happens when, and what is said about it. */
export interface Scenario {
  readonly id: string;
  readonly title: string;
  readonly story: string;
  readonly maxSessions: number;
  /** Queued at the beginning. */
  readonly tasks: number;
  readonly weather?: Partial<Weather>;
  /** The turn that every prompt gets, in place of the weather's. */
  readonly turn?: TurnScript;
  readonly beats: readonly Beat[];
}

export const scenarios: readonly Scenario[] = [
  {
    id: 'clean',
    title: 'A clean turn',
    story: 'Three tasks on two slots. A turn is over when four signals agree, not when the server says idle.',
    maxSessions: 2,
    tasks: 3,
    beats: [
      { when: { atMs: 0 }, text: 'Three tasks queue for two slots; the pool hands them out.' },
      { when: { path: 'active.submitting' }, text: 'A session has sent its prompt, once. The answer of the request accepts the turn.' },
      { when: { path: 'active.running' }, text: 'The turn runs. A step that ends with tool calls is no end of the turn.' },
      { when: { point: 'ended', nth: 1 }, text: 'The final message answers our own message; idle follows, and the proof is complete.' },
      { when: { point: 'accepted', nth: 3 }, text: 'The third task got the slot that came free first.' },
    ],
  },
  {
    id: 'ask',
    title: 'A permission ask',
    story: 'A tool needs a permission. The turn waits in awaitingInput until somebody answers, or its deadline ends it.',
    maxSessions: 2,
    tasks: 2,
    weather: { asks: true },
    beats: [
      { when: { atMs: 0 }, text: 'Each of these turns will ask for a permission.' },
      { when: { path: 'active.awaitingInput' }, text: 'A turn waits for an answer. Give it in the send box, or wait.' },
      { when: { atMs: 6000 }, text: 'Now every open ask is answered, and the turns go on.', act: (run) => run.answerAsks() },
    ],
  },
  {
    id: 'crash',
    title: 'A server crash with 20 turns',
    story: 'The server dies under twenty turns. It is started again on its state, and what did not finish runs again.',
    maxSessions: 20,
    tasks: 24,
    beats: [
      { when: { atMs: 0 }, text: 'Twenty-four tasks for twenty slots.' },
      {
        when: { point: 'final', nth: 3 },
        text: 'The server is killed: every turn in flight broke off. The tasks keep their slots, and the pool is recovering.',
        act: (run) => run.killServer(),
      },
      {
        when: { path: 'ready', actor: 'server' },
        text: 'The next server answers. What was finished is read; the others run again on fresh sessions.',
      },
    ],
  },
  {
    id: 'loop',
    title: 'A server that keeps dying',
    story: 'No server comes up again. After three restarts the budget is spent, and every task is told so.',
    maxSessions: 8,
    tasks: 12,
    beats: [
      { when: { atMs: 0 }, text: 'Twelve tasks for eight slots.', act: (run) => run.set('failingStarts', true) },
      { when: { atMs: 900 }, text: 'The server is killed, and the next one ends at its start.', act: (run) => run.killServer() },
      {
        when: { path: 'failed', actor: 'pool' },
        text: 'Three restarts within a minute are spent: the pool has failed, and no task hangs on it.',
      },
    ],
  },
  {
    id: 'rotation',
    title: 'A server that grows',
    story: 'Its memory passes the limit. The next generation takes over; the old one finishes its turns and ends.',
    maxSessions: 6,
    tasks: 60,
    beats: [
      { when: { atMs: 0 }, text: 'Memory is read every second; the limit is 2 GB.', act: (run) => run.set('growingMemory', true) },
      {
        when: { path: 'rotating', actor: 'server' },
        text: 'The limit is passed: the next generation comes up beside this one. Turns go on.',
      },
      {
        when: { point: 'launched', nth: 2 },
        text: 'It takes over. What began on the old one ends there, then it is stopped.',
        act: (run) => run.set('growingMemory', false),
      },
    ],
  },
  {
    id: 'quota',
    title: 'A spent quota',
    story: 'The provider answers 429. One short wait is sat out; a wait of a day is not.',
    maxSessions: 3,
    tasks: 3,
    weather: { rateLimited: true, quotaSpent: true },
    beats: [
      { when: { atMs: 0 }, text: 'Three turns meet a provider that answers 429.' },
      { when: { path: 'active.backingOff' }, text: 'backingOff is a state of its own: opencode will ask again in two seconds.' },
      {
        when: { path: 'active.aborting' },
        text: 'Now the provider asks for a day. That is longer than maxRetryWaitMs: quota_exhausted, and the turn is aborted.',
      },
    ],
  },
  {
    id: 'gap',
    title: 'A lost stream',
    story: 'The event stream is cut while turns run. What was said meanwhile is lost, so the state is read.',
    maxSessions: 4,
    tasks: 4,
    beats: [
      { when: { atMs: 0 }, text: 'Four turns run.' },
      {
        when: { atMs: 500 },
        text: 'The stream is cut: every session reconciles, because events alone prove nothing now.',
        act: (run) => run.cutStream(),
      },
      { when: { path: 'live', actor: 'stream' }, text: 'The stream is back. A read closes the gap, and the turns are judged by it.' },
    ],
  },
  {
    id: 'quarantine',
    title: 'An abort that nobody confirms',
    story:
      'No abort ends this turn. After a deadline what its tools started is ended; then the session is not used again, and a fresh server replaces the one that may still work on it.',
    maxSessions: 1,
    tasks: 1,
    turn: {
      beginMs: 15,
      steps: [
        {
          thinkMs: 200,
          text: [],
          tools: [{ tool: 'bash', input: 'sleep 3600', output: '', forMs: 3_600_000, ignoresAbort: 'never' }],
          finish: 'tool-calls',
        },
      ],
    },
    beats: [
      { when: { atMs: 0 }, text: 'One turn that will not end.' },
      {
        when: { atMs: 800 },
        text: 'It is aborted; the outcome is decided, its end is not proven. The abort is repeated.',
        act: (run) => run.abortAll(),
      },
      { when: { atMs: 5900 }, text: 'No confirmation within five seconds: what its tools have started is ended.' },
      { when: { path: 'dead.quarantined' }, text: 'Still none: the session is quarantined.' },
    ],
  },
  {
    id: 'agents',
    title: 'Sub-agents at work',
    story: 'A turn hands work to a sub-agent. It is not over before that session is quiet too.',
    maxSessions: 2,
    tasks: 2,
    weather: { subAgents: true },
    beats: [
      { when: { atMs: 0 }, text: 'Two turns, each with a sub-agent.' },
      { when: { path: 'active.waitingOnChildren' }, text: 'waitingOnChildren: whatever the root says, its child is busy.' },
    ],
  },
  {
    id: 'crowd',
    title: 'A crowd of 500',
    story: 'Five hundred sessions at once, thousands of events a second.',
    maxSessions: 500,
    tasks: 3000,
    beats: [{ when: { atMs: 0 }, text: 'Three thousand tasks for five hundred slots.' }],
  },
  {
    id: 'hand',
    title: 'By hand',
    story: 'One idle session and a model that never answers: what its server tells is yours to send.',
    maxSessions: 2,
    tasks: 0,
    turn: { beginMs: 0, steps: [], neverBegins: true },
    beats: [
      {
        when: { atMs: 0 },
        text: 'Nothing happens by itself. Choose the session and send turn.submit; then message.started, message.finalised and session.idle.',
        act: (run) => run.holdSession(),
      },
    ],
  },
];
