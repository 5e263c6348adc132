import type { World } from './world.ts';

/** A sentence that is shown from a moment on. */
interface Caption {
  readonly atMs: number;
  readonly text: string;
}

/** A story: what is set up, what happens when, and what is said about it. */
export interface Scenario {
  readonly id: string;
  readonly title: string;
  readonly story: string;
  readonly maxSessions: number;
  readonly captions: readonly Caption[];
  readonly setUp: (world: World) => void;
}

const at = (world: World, ms: number, act: () => void): void => void world.clock.setTimeout(act, ms);

export const scenarios: readonly Scenario[] = [
  {
    id: 'clean',
    title: 'A clean turn',
    story: 'Three tasks on two slots. A turn is over when four signals agree, not when the server says idle.',
    maxSessions: 2,
    captions: [
      { atMs: 0, text: 'Three tasks queue for two slots; the pool hands them out.' },
      { atMs: 120, text: 'Each session has sent its prompt once. The answer of the request accepts the turn.' },
      { atMs: 1300, text: 'The final message answers our own message; idle follows, and the proof is complete.' },
      { atMs: 2200, text: 'The third task got the slot that came free first.' },
    ],
    setUp: (world) => world.queueTasks(3),
  },
  {
    id: 'ask',
    title: 'A permission ask',
    story: 'A tool needs a permission. The turn waits in awaitingInput until somebody answers, or its deadline ends it.',
    maxSessions: 2,
    captions: [
      { atMs: 0, text: 'Each of these turns will ask for a permission.' },
      { atMs: 500, text: 'Both wait for an answer. Send ask.closed from the send box, or wait.' },
      { atMs: 6000, text: 'Now every open ask is answered, and the turns go on.' },
    ],
    setUp: (world) => {
      world.weather.asks = true;
      world.queueTasks(2);
      at(world, 6000, () => world.answerAsks());
    },
  },
  {
    id: 'crash',
    title: 'A server crash with 20 turns',
    story: 'The server dies under twenty turns. It is started again on its state, and what did not finish runs again.',
    maxSessions: 20,
    captions: [
      { atMs: 0, text: 'Twenty-four tasks for twenty slots.' },
      { atMs: 1500, text: 'The server falters: it no longer says that a session is idle.' },
      { atMs: 1900, text: 'Every turn in flight broke off. The tasks keep their slots, and the pool is recovering.' },
      { atMs: 3900, text: 'The next server answers. What was finished is read; the others run again on fresh sessions.' },
    ],
    setUp: (world) => {
      world.queueTasks(24);
      at(world, 1500, () => world.setWeather('neverIdle', true));
      at(world, 1900, () => {
        world.killServer();
        world.setWeather('neverIdle', false);
      });
    },
  },
  {
    id: 'loop',
    title: 'A server that keeps dying',
    story: 'No server comes up again. After three restarts the budget is spent, and every task is told so.',
    maxSessions: 8,
    captions: [
      { atMs: 0, text: 'Twelve tasks for eight slots.' },
      { atMs: 900, text: 'The server is killed, and the next one ends at its start.' },
      { atMs: 9000, text: 'Three restarts within a minute are spent: the pool has failed, and no task hangs on it.' },
    ],
    setUp: (world) => {
      world.setWeather('failingStarts', true);
      world.queueTasks(12);
      at(world, 900, () => world.killServer());
    },
  },
  {
    id: 'rotation',
    title: 'A server that grows',
    story: 'Its memory passes the limit. The next generation takes over; the old one finishes its turns and ends.',
    maxSessions: 6,
    captions: [
      { atMs: 0, text: 'Memory is read every second; the limit is 2 GB.' },
      { atMs: 6000, text: 'The limit is passed: the next generation comes up beside this one. Turns go on.' },
      { atMs: 7800, text: 'It took over. What began on the old one ends there, then it is stopped.' },
    ],
    setUp: (world) => {
      world.setWeather('growingMemory', true);
      world.queueTasks(60);
    },
  },
  {
    id: 'quota',
    title: 'A spent quota',
    story: 'The provider answers 429. One short wait is sat out; a wait of a day is not.',
    maxSessions: 3,
    captions: [
      { atMs: 0, text: 'Three turns meet a provider that answers 429.' },
      { atMs: 150, text: 'backingOff is a state of its own: opencode will ask again in two seconds.' },
      { atMs: 2200, text: 'Now the provider asks for a day. That is longer than maxRetryWaitMs: quota_exhausted.' },
    ],
    setUp: (world) => {
      world.weather.rateLimited = true;
      world.weather.quotaSpent = true;
      world.queueTasks(3);
    },
  },
  {
    id: 'gap',
    title: 'A lost stream',
    story: 'The event stream is cut while turns run. What was said meanwhile is lost, so the state is read.',
    maxSessions: 4,
    captions: [
      { atMs: 0, text: 'Four turns run.' },
      { atMs: 900, text: 'The stream is cut: every session reconciles, because events alone prove nothing now.' },
      { atMs: 2400, text: 'The stream is back. A snapshot closes the gap, and the turns are judged by it.' },
    ],
    setUp: (world) => {
      world.queueTasks(4);
      at(world, 900, () => world.dropStream());
    },
  },
  {
    id: 'quarantine',
    title: 'An abort that nobody confirms',
    story:
      'The server does not react to an abort. After its deadline what its tools started is ended; then the session is not used again: dead.',
    maxSessions: 1,
    captions: [
      { atMs: 0, text: 'One turn that will not end.' },
      { atMs: 800, text: 'It is aborted; the outcome is decided, its end is not proven.' },
      { atMs: 5800, text: 'No confirmation within five seconds: what its tools have started is ended, and it is asked again.' },
      { atMs: 10800, text: 'Still none: the session is quarantined.' },
    ],
    setUp: (world) => {
      world.weather.slow = true;
      world.weather.deafToAborts = true;
      world.queueTasks(1);
      at(world, 800, () => world.abortAll('A story about aborts.'));
    },
  },
  {
    id: 'agents',
    title: 'Sub-agents at work',
    story: 'A turn hands work to a sub-agent. It is not over before that session is quiet too.',
    maxSessions: 2,
    captions: [
      { atMs: 0, text: 'Two turns, each with a sub-agent.' },
      { atMs: 450, text: 'waitingOnChildren: whatever the root says, its child is busy.' },
    ],
    setUp: (world) => {
      world.weather.subAgents = true;
      world.queueTasks(2);
    },
  },
  {
    id: 'crowd',
    title: 'A crowd of 500',
    story: 'Five hundred sessions at once, thousands of events a second.',
    maxSessions: 500,
    captions: [{ atMs: 0, text: 'Three thousand tasks for five hundred slots.' }],
    setUp: (world) => {
      world.weather.asks = false;
      world.queueTasks(3000);
    },
  },
  {
    id: 'hand',
    title: 'By hand',
    story: 'One idle session and a server that waits for you. Send events from the send box.',
    maxSessions: 2,
    captions: [{ atMs: 0, text: 'Nothing happens by itself. Choose the session, then send turn.submit.' }],
    setUp: (world) => void world.createSession(),
  },
];
