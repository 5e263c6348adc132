import { OpencodeManagerError, toManagerError, type SerializedError } from '@opencode-manager/core/errors';
import { createActor, type ActorRefFrom } from 'xstate';
import { serverMachine, type MemoryLimit, type RotationReason, type ServerContext } from '../machines/index.ts';
import type { Inspection } from '../pool/inspection.ts';
import type { Clock, OpenStreamPort, ServerPort, StreamNotice, StreamPort } from '../ports/index.ts';
import { Generation } from './generation.ts';
import type { HealthCheck } from './health-watch.ts';

/** How the memory of a server is watched. */
export interface MemoryCheck {
  readonly limit: MemoryLimit | null;
  readonly checkMs: number;
}

export interface ServerKeeperOptions {
  readonly server: ServerPort;
  readonly stream: StreamPort;
  readonly openStream: OpenStreamPort;
  readonly clock: Clock;
  /** When a server that does not answer counts as lost; never, when absent. */
  readonly health: HealthCheck | undefined;
  readonly memory: MemoryCheck;
  readonly inspection: Inspection;
  readonly onNotice: (notice: StreamNotice, server: ServerPort) => void;
  /** A server is gone or of no use: the present one, or one that retires. Told once. Expected: somebody stopped it. */
  readonly onLost: (loss: ServerLoss) => void;
  /** The event stream of a further server; told before the one before it ends. */
  readonly onStream: (stream: StreamPort) => void;
  readonly onRotating: (reason: RotationReason) => void;
  /** Another server takes work now; the one before it retires. */
  readonly onRotated: () => void;
  readonly onRotationFailed: (error: SerializedError) => void;
  readonly onRetired: (generation: number) => void;
  /** Whether a turn is in flight there. */
  readonly isUsed: (server: ServerPort) => boolean;
}

export interface ServerLoss {
  readonly server: ServerPort;
  readonly error: SerializedError;
  readonly isExpected: boolean;
  /** It was the one that takes work. */
  readonly isPresent: boolean;
}

/** Between the end of the last turn of a server that retires and its own, in milliseconds. */
const lingerMs = 500;

/**
 * Holds the server that a pool works on now, and its event stream; puts the next in their place when they are lost, or when
 * the server machine decides that they have served long enough. One that retires is kept until its last turn is over.
 */
export class ServerKeeper {
  readonly #options: ServerKeeperOptions;
  readonly #actor: ActorRefFrom<typeof serverMachine>;
  #present: Generation;
  /** With their numbers. */
  readonly #retiring = new Map<Generation, number>();
  readonly #lingering = new Map<Generation, unknown>();
  /** The start of the next server beside the present one. */
  #starting: Promise<void> | undefined;
  #pastGaps = 0;
  #closed = false;

  constructor(options: ServerKeeperOptions) {
    this.#options = options;
    const machine = serverMachine.provide({ actions: { startNext: () => this.#startNext() } });
    this.#actor = createActor(machine, {
      input: { memory: options.memory.limit },
      clock: options.clock,
      ...options.inspection(machine, 'server'),
    });
    this.#actor.start();
    this.#present = this.#generation(options.server, options.stream);
    this.#present.watch();
    this.#sendReady();
  }

  get server(): ServerPort {
    return this.#present.server;
  }

  get stream(): StreamPort {
    return this.#present.stream;
  }

  /** The event stream of a server that may have a turn. */
  streamOf(server: ServerPort): StreamPort | undefined {
    return [this.#present, ...this.#retiring.keys()].find((one) => one.server === server)?.stream;
  }

  /** The event streams of all servers that may have a turn. */
  get streams(): readonly StreamPort[] {
    return [this.#present, ...this.#retiring.keys()].map(({ stream }) => stream).filter(({ state }) => state !== 'closed');
  }

  get state(): string {
    return this.#actor.getSnapshot().value;
  }

  get context(): ServerContext {
    return this.#actor.getSnapshot().context;
  }

  /** Gaps of all event streams so far. */
  get gaps(): number {
    return [this.#present, ...this.#retiring.keys()].reduce((sum, { stream }) => sum + stream.gaps, this.#pastGaps);
  }

  /** True from the loss of the present server until the next one is in its place. */
  get isLost(): boolean {
    return this.#present.isLost;
  }

  /** Refuses to begin on a server that is lost. @throws `SERVER_EXITED` */
  assertThere(): void {
    if (!this.isLost) return;
    throw new OpencodeManagerError('SERVER_EXITED', 'The opencode server was lost before the turn was sent.', {
      output: this.server.output(),
    });
  }

  /**
   * Starts the next server on the same state in the place of a lost one and opens its event stream. May be called again when
   * it failed. @throws as `OpencodeServer.relaunch`; `STREAM_UNAVAILABLE`, `SERVER_EXITED`
   */
  async relaunch(): Promise<void> {
    // One that comes up beside the lost one takes its place.
    await this.#starting;
    if (this.isLost && !this.#closed) await this.#adopt(await this.server.relaunch());
  }

  /** Asks for another server in the place of the present one, which still runs. */
  rotate(reason: RotationReason): void {
    this.#actor.send({ type: 'rotation.wanted', reason });
  }

  /** There will be no next server. */
  giveUp(error: SerializedError): void {
    this.#actor.send({ type: 'server.given_up', error });
  }

  /** Ends the servers that retire and have no turn in flight any more. */
  retireUnused(): void {
    for (const generation of this.#retiring.keys()) if (!this.#options.isUsed(generation.server)) this.#retireSoon(generation);
  }

  /** Hears of nothing any more; closes the event streams that were opened here, and ends what retires. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#actor.send({ type: 'server.stop' });
    this.#present.unwatch();
    await Promise.all([...this.#retiring.keys()].map((generation) => this.#retire(generation)));
    if (this.stream !== this.#options.stream) await this.stream.close();
  }

  #generation(server: ServerPort, stream: StreamPort): Generation {
    const { health, memory, clock, onNotice } = this.#options;
    return new Generation({
      server,
      stream,
      clock,
      health,
      memoryCheckMs: memory.checkMs,
      onNotice,
      onLost: (generation, error, isExpected) => this.#onLost(generation, error, isExpected),
      onMemory: (generation, rssBytes) => {
        if (generation === this.#present) this.#actor.send({ type: 'server.memory', rssBytes, atMs: clock.now() });
      },
    });
  }

  /** Carries out the machine's decision that another server takes over. */
  #startNext(): void {
    // The reason is in the context after the transition, which this is called in the midst of.
    queueMicrotask(() => this.#options.onRotating(this.context.rotationReason ?? 'asked'));
    this.#starting = this.#bringUpNext().finally(() => {
      this.#starting = undefined;
    });
  }

  async #bringUpNext(): Promise<void> {
    try {
      await this.#adopt(await this.server.startSuccessor());
    } catch (error) {
      this.#onRotationFailed(toManagerError(error).toJSON());
    }
  }

  #onRotationFailed(error: SerializedError): void {
    if (this.#closed) return;
    this.#actor.send({ type: 'rotation.failed', error, atMs: this.#options.clock.now() });
    this.#options.onRotationFailed(error);
  }

  /** Puts a server in the place of the present one when its events arrive; one that they do not come from is ended. */
  async #adopt(server: ServerPort): Promise<void> {
    const stream = this.#options.openStream(server);
    const next = this.#generation(server, stream);
    try {
      await next.ready();
      if (this.#closed) throw new OpencodeManagerError('POOL_STOPPED', 'The pool was stopped while its next server came up.');
    } catch (error) {
      next.unwatch();
      await stream.close();
      await server.retire().catch(() => undefined);
      throw error;
    }
    this.#replace(next);
  }

  #replace(next: Generation): void {
    const previous = this.#present;
    const { generation } = this.context;
    this.#present = next;
    next.watch();
    this.#options.onStream(next.stream);
    if (previous.isLost) void this.#endStream(previous);
    else this.#retiring.set(previous, generation);
    this.#sendReady();
    if (previous.isLost) return;
    this.#options.onRotated();
    this.retireUnused();
  }

  /** What a turn sends behind its end is to arrive too. */
  #retireSoon(generation: Generation): void {
    if (this.#lingering.has(generation)) return;
    const { clock } = this.#options;
    const timer = clock.setTimeout(() => void this.#retire(generation), generation.isLost ? 0 : lingerMs);
    this.#lingering.set(generation, timer);
  }

  async #retire(generation: Generation): Promise<void> {
    this.#options.clock.clearTimeout(this.#lingering.get(generation));
    this.#lingering.delete(generation);
    const number = this.#retiring.get(generation);
    if (number === undefined) return;
    this.#retiring.delete(generation);
    await this.#endStream(generation);
    // What could not be ended is named by the stop of the run, which tries again.
    await generation.server.retire().catch(() => undefined);
    this.#actor.send({ type: 'generation.retired', generation: number });
    if (!this.#closed) this.#options.onRetired(number);
  }

  /** Readers of a stream see its end when the next one is there already. */
  async #endStream(generation: Generation): Promise<void> {
    generation.unwatch();
    this.#pastGaps += generation.stream.gaps;
    await generation.stream.close();
  }

  #onLost(generation: Generation, error: SerializedError, isExpected: boolean): void {
    const isPresent = generation === this.#present;
    if (this.#closed || !(isPresent || this.#retiring.has(generation))) return;
    if (isPresent) this.#actor.send({ type: 'server.lost', error });
    this.#options.onLost({ server: generation.server, error, isExpected, isPresent });
    if (!isPresent) this.retireUnused();
  }

  #sendReady(): void {
    this.#actor.send({ type: 'server.ready', atMs: this.#options.clock.now() });
  }
}
