import { serverMachine, type RotationReason, type ServerContext } from '@opencode-manager/actors/machines';
import { createActor, type ActorRefFrom, type EventObject } from 'xstate';
import type { SteppedClock } from './clock.ts';
import type { Recorder } from './recorder.ts';
import type { SimulatedServer, Weather } from './server.ts';

type Failure = NonNullable<ServerContext['error']>;

export interface ServerLifeOptions {
  readonly clock: SteppedClock;
  readonly weather: Weather;
  readonly recorder: Recorder;
  readonly server: SimulatedServer;
  /** It is gone, and another one is started. */
  readonly onAway: (error: Failure) => void;
  /** It is gone, and none comes after it. */
  readonly onGivenUp: (error: Failure) => void;
  /** Another one answers in its place. */
  readonly onRecovered: (generation: number) => void;
  /** The next generation has taken over; what is in flight belongs to the one that retires. */
  readonly onRotated: (generation: number) => void;
}

/** What a start takes, in milliseconds of the simulated clock, and how often memory is read. */
const takes = { start: 1800, memory: 1000 } as const;

const memory = { maxBytes: 2_000_000_000, minAgeMs: 4000 } as const;
const freshBytes = 520_000_000;
const leakedBytes = 260_000_000;

/** The server of a simulation over its generations, under the machine that watches over the real one. */
export class ServerLife {
  readonly #options: ServerLifeOptions;
  readonly actor: ActorRefFrom<typeof serverMachine>;
  #rssBytes = freshBytes;

  constructor(options: ServerLifeOptions) {
    this.#options = options;
    const { clock, recorder } = options;
    const later = (act: () => void) => void clock.setTimeout(act, 0);
    const machine = serverMachine.provide({
      actions: {
        startNext: () => this.#startNext(),
        relaunch: () => this.#relaunch(),
        retire: (_, { generation }) => later(() => this.actor.send({ type: 'generation.retired', generation })),
        tellAway: (_, { error }) => options.onAway(error),
        tellGivenUp: (_, { error }) => options.onGivenUp(error),
        tellRestarted: (_, { generation }) => options.onRecovered(generation),
        tellRotated: (_, { generation }) => options.onRotated(generation),
      },
    });
    this.actor = createActor(machine, { input: { memory }, clock, inspect: recorder.inspector(machine, 'server') }).start();
    this.#begin();
  }

  kill(): void {
    const { server } = this.#options;
    if (!server.alive) return;
    server.kill();
    this.#lose({ name: 'OpencodeManagerError', code: 'SERVER_EXITED', message: 'The opencode server ended (signal SIGKILL).' });
  }

  rotate(reason: RotationReason): void {
    this.actor.send({ type: 'rotation.wanted', reason });
  }

  /** Its last turn is over. */
  unused(generation: number): void {
    this.actor.send({ type: 'generation.unused', generation });
  }

  send(event: EventObject): void {
    (this.actor as { send(event: EventObject): void }).send(event);
  }

  /** Reads its memory from now on, for as long as it grows. */
  watchMemory(): void {
    const { clock, weather } = this.#options;
    clock.setTimeout(() => {
      if (!weather.growingMemory) return;
      this.#rssBytes += leakedBytes;
      this.actor.send({ type: 'server.memory', rssBytes: this.#rssBytes, atMs: clock.now() });
      this.watchMemory();
    }, takes.memory);
  }

  #begin(): void {
    this.#rssBytes = freshBytes;
    this.actor.send({ type: 'server.ready', atMs: this.#options.clock.now() });
  }

  #lose(error: Failure): void {
    this.actor.send({ type: 'server.lost', error, atMs: this.#options.clock.now(), jitter: 0 });
  }

  /** Starts the next one on the same state. */
  #relaunch(): void {
    const { clock, weather, server } = this.#options;
    clock.setTimeout(() => {
      if (weather.failingStarts) return this.#lose(startFailed);
      server.revive();
      this.#begin();
    }, takes.start);
  }

  #startNext(): void {
    const { clock, weather, server } = this.#options;
    clock.setTimeout(() => {
      if (weather.failingStarts) return this.actor.send({ type: 'rotation.failed', error: startFailed, atMs: clock.now(), jitter: 0 });
      if (this.actor.getSnapshot().value === 'succeeding') server.revive();
      this.#begin();
    }, takes.start);
  }
}

const startFailed = {
  name: 'OpencodeManagerError',
  code: 'SERVER_EXITED',
  message: 'The opencode server ended (exit code 1).',
} as const;
