import { OpencodeManagerError, toManagerError, type SerializedError } from '@opencode-manager/core/errors';
import { createActor, type ActorRefFrom } from 'xstate';
import {
  serverMachine,
  type MemoryLimit,
  type RestartLimits,
  type RotationReason,
  type ServerContext,
  type ServerMachineEvent,
} from '../machines/index.ts';
import type { Inspection } from '../pool/inspection.ts';
import type { Clock, OpenStreamPort, ServerPort, StreamNotice, StreamPort } from '../ports/index.ts';
import { Generation, type GenerationListener } from './generation.ts';
import type { HealthCheck } from './health-probe.ts';

/** How the memory of a server is watched. */
export interface MemoryCheck {
  readonly limit: MemoryLimit | null;
  readonly checkMs: number;
}

export interface SupervisorOptions {
  readonly server: ServerPort;
  readonly stream: StreamPort;
  readonly openStream: OpenStreamPort;
  readonly clock: Clock;
  readonly random: () => number;
  /** Whether servers may be started here. */
  readonly recovers: boolean;
  readonly restartLimits: RestartLimits;
  /** When a server that does not answer counts as lost; never, when absent. */
  readonly health: HealthCheck | undefined;
  readonly memory: MemoryCheck;
  /** How many directories the present server holds. */
  readonly liveDirectories: () => number;
  readonly inspection: Inspection;
  /** Where the event stream of each server is found. */
  readonly streams: Map<ServerPort, StreamPort>;
}

/** What becomes of the servers, in the order in which it happens. */
export interface SupervisorListener {
  onNotice(notice: StreamNotice, server: ServerPort): void;
  /** Another event stream: of a further server, or of one whose stream had failed. */
  onStream(stream: StreamPort, server: ServerPort): void;
  /** The present server is lost, and another one is started. */
  onAway(server: ServerPort, error: SerializedError): void;
  /** The present server is lost, and none comes after it. */
  onGivenUp(server: ServerPort, error: SerializedError): void;
  onRestarted(generation: number, restarts: number): void;
  onRotating(reason: RotationReason, generation: number, rssBytes: number | null): void;
  /** Another server takes work now; the one before it retires. */
  onRotated(generation: number): void;
  onRotationFailed(error: SerializedError): void;
  /** A server was replaced for its memory, and the next one is above the limit too. */
  onMemoryHeld(rssBytes: number, maxBytes: number, untilMs: number): void;
  /** A server that retires was lost, and what was left of it has ended. */
  onRetiringLost(server: ServerPort, error: SerializedError): void;
  onRetired(generation: number): void;
  /** A server is gone, with whatever still ran there. */
  onGone(server: ServerPort): void;
}

/**
 * Carries out what the server machine decides of the servers that a pool works on: starts, replaces and ends them, and tells it
 * what happens to them. Holds their handles, and nothing that the machine knows.
 */
export class ServerSupervisor {
  readonly #options: SupervisorOptions;
  readonly #actor: ActorRefFrom<typeof serverMachine>;
  readonly #generations = new Map<number, Generation>();
  readonly #listeners: SupervisorListener[] = [];
  /** What listeners are told when the machine has come to rest: they look at it. */
  readonly #outbox: ((listener: SupervisorListener) => void)[] = [];
  /** Ends the wait for event streams that come up. */
  readonly #closing = new AbortController();
  /** Event streams that come up, each with what becomes of it. */
  readonly #opening = new Set<Promise<unknown>>();
  #pastGaps = 0;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const machine = this.#withEffects();
    this.#actor = createActor(machine, {
      input: {
        memory: options.memory.limit,
        restartLimits: options.restartLimits,
        mayStart: options.recovers,
        ...(options.health && { maxStrikes: options.health.strikes }),
      },
      clock: options.clock,
      ...options.inspection(machine, 'server'),
    });
    this.#actor.start();
    this.#take(this.#generation(1, options.server, options.stream));
  }

  get server(): ServerPort {
    return this.#present.server;
  }

  get stream(): StreamPort {
    return this.#present.stream;
  }

  /** The event streams of all servers that may have a turn. */
  get streams(): readonly StreamPort[] {
    return [...this.#generations.values()].map(({ stream }) => stream).filter(({ state }) => state !== 'closed');
  }

  get state(): string {
    return this.#actor.getSnapshot().value;
  }

  get context(): ServerContext {
    return this.#actor.getSnapshot().context;
  }

  /** Gaps of all event streams so far. */
  get gaps(): number {
    return this.streams.reduce((sum, { gaps }) => sum + gaps, this.#pastGaps);
  }

  listen(listener: SupervisorListener): void {
    this.#listeners.push(listener);
  }

  /** Refuses to begin on a server that is lost. @throws `SERVER_EXITED` */
  assertThere(): void {
    if (this.#actor.getSnapshot().matches('ready') || this.#actor.getSnapshot().matches('rotating')) return;
    throw new OpencodeManagerError('SERVER_EXITED', 'The opencode server was lost before the turn was sent.', {
      output: this.server.output(),
    });
  }

  /** Asks for another server in the place of the present one, which still runs. */
  rotate(reason: RotationReason): void {
    this.#send({ type: 'rotation.wanted', reason });
  }

  /** A session was given up in the midst of a turn: its server may go on with it. */
  noteQuarantine(server: ServerPort): void {
    const generation = [...this.#generations.values()].find((one) => one.server === server);
    if (generation) this.#send({ type: 'turn.quarantined', generation: generation.number });
  }

  /** Tells which of the servers that retire have no turn in flight. */
  noteUnused(isUsed: (server: ServerPort) => boolean): void {
    for (const generation of this.context.retiring) {
      const server = this.#generations.get(generation)?.server;
      if (server && !isUsed(server)) this.#send({ type: 'generation.unused', generation });
    }
  }

  /** No server is started any more. */
  forbidRestarts(): void {
    this.#send({ type: 'restarts.forbidden' });
  }

  /** Hears of nothing any more; closes the event streams that were opened here, and ends what retires. */
  async close(): Promise<void> {
    const { retiring } = this.context;
    const present = this.#present;
    this.#send({ type: 'server.stop' });
    this.#listeners.length = 0;
    this.#closing.abort();
    for (const generation of this.#generations.values()) generation.unwatch();
    await Promise.allSettled(this.#opening);
    await Promise.all(retiring.map((number) => this.#retire(number)));
    this.#options.streams.clear();
    if (present.stream !== this.#options.stream) await present.stream.close();
  }

  get #present(): Generation {
    return this.#generations.get(this.context.generation)!;
  }

  #withEffects(): typeof serverMachine {
    const present = (number: number) => this.#generations.get(number)!;
    return serverMachine.provide({
      actions: {
        startNext: (_, { reason, generation, rssBytes }) => {
          this.#outbox.push((one) => one.onRotating(reason, generation - 1, rssBytes));
          void this.#startSuccessor(present(generation - 1), generation);
        },
        relaunch: (_, { generation }) => void this.#relaunch(present(generation - 1), generation),
        reopenStream: (_, { generation }) => void this.#reopenStream(present(generation)),
        retire: (_, { generation }) => void this.#retire(generation),
        loseRetiring: (_, { generation, error }) => void this.#endRetiring(present(generation), error),
        tellAway: (_, { generation, error }) => this.#lose(present(generation), (one, server) => one.onAway(server, error)),
        tellGivenUp: (_, { generation, error }) => this.#lose(present(generation), (one, server) => one.onGivenUp(server, error)),
        tellRestarted: (_, { generation, restarts }) => void this.#outbox.push((one) => one.onRestarted(generation, restarts)),
        tellRotated: (_, { generation }) => void this.#outbox.push((one) => one.onRotated(generation)),
        tellRetired: (_, { generation }) => void this.#outbox.push((one) => one.onRetired(generation)),
        tellRotationFailed: (_, { error }) => void this.#outbox.push((one) => one.onRotationFailed(error)),
        tellMemoryHeld: (_, { rssBytes, maxBytes, untilMs }) =>
          void this.#outbox.push((one) => one.onMemoryHeld(rssBytes, maxBytes, untilMs)),
      },
    });
  }

  /** What comes after the end of the pool is nobody's concern. */
  #send(event: ServerMachineEvent): void {
    if (this.#actor.getSnapshot().status === 'active') this.#actor.send(event);
    for (let told = this.#outbox.shift(); told; told = this.#outbox.shift()) this.#tell(told);
  }

  #tell(what: (listener: SupervisorListener) => void): void {
    for (const listener of this.#listeners) what(listener);
  }

  #lose(generation: Generation, what: (listener: SupervisorListener, server: ServerPort) => void): void {
    generation.unwatch();
    this.#outbox.push((one) => what(one, generation.server));
  }

  #generation(number: number, server: ServerPort, stream: StreamPort): Generation {
    const { health, memory, clock } = this.#options;
    return new Generation({ number, server, stream, clock, health, memoryCheckMs: memory.checkMs, listener: this.#listener() });
  }

  /** Facts about a server, in the words of the machine. */
  #listener(): GenerationListener {
    return {
      onNotice: (generation, notice) => this.#onNotice(generation, notice),
      onExit: ({ number }, error, isExpected) => this.#send({ type: 'server.lost', generation: number, error, isExpected, ...this.#now() }),
      onMemory: ({ number }, rssBytes) =>
        this.#send({
          type: 'server.memory',
          generation: number,
          rssBytes,
          directories: this.#options.liveDirectories(),
          ...this.#now(),
        }),
      onAnswered: ({ number }) => this.#send({ type: 'probe.answered', generation: number }),
      onUnanswered: ({ number, server }, startedAtMs, lastRecordAtMs) =>
        this.#send({
          type: 'probe.unanswered',
          generation: number,
          startedAtMs,
          lastRecordAtMs,
          output: server.output(),
          ...this.#now(),
        }),
    };
  }

  #now(): { readonly atMs: number; readonly jitter: number } {
    return { atMs: this.#options.clock.now(), jitter: 2 * this.#options.random() - 1 };
  }

  #onNotice(generation: Generation, notice: StreamNotice): void {
    if (notice.type !== 'stream.failed') return this.#tell((one) => one.onNotice(notice, generation.server));
    const { error } = notice;
    this.#tell((one) => one.onNotice({ type: 'stream.gap', generation: 0, reason: error.message }, generation.server));
    this.#send({ type: 'stream.failed', generation: generation.number, error, ...this.#now() });
  }

  async #startSuccessor(present: Generation, number: number): Promise<void> {
    try {
      const next = await present.server.startSuccessor();
      await this.#untilOpen(this.#adopt(next, number));
    } catch (error) {
      this.#send({ type: 'rotation.failed', error: toManagerError(error).toJSON(), ...this.#now() });
    }
  }

  async #relaunch(lost: Generation, number: number): Promise<void> {
    try {
      const next = await lost.server.relaunch();
      await this.#untilOpen(this.#adopt(next, number));
    } catch (error) {
      this.#send({ type: 'server.lost', error: toManagerError(error).toJSON(), ...this.#now() });
    }
  }

  /** Lets a server take the work when its events arrive; one that they do not come from, or that nobody wants any more, is ended. */
  async #adopt(server: ServerPort, number: number): Promise<void> {
    const stream = this.#options.openStream(server);
    const next = this.#generation(number, server, stream);
    try {
      await next.ready(this.#closing.signal);
      if (!this.#actor.getSnapshot().can({ type: 'server.ready', generation: number, atMs: 0 }))
        throw new OpencodeManagerError('POOL_STOPPED', 'The pool was stopped while its next server came up.');
    } catch (error) {
      next.unwatch();
      await stream.close();
      await server.retire().catch(() => undefined);
      throw error;
    }
    this.#tell((one) => one.onStream(stream, server));
    this.#take(next);
  }

  /** The stop of the pool waits for what is coming up, to end it. */
  async #untilOpen<Result>(opening: Promise<Result>): Promise<Result> {
    this.#opening.add(opening);
    try {
      return await opening;
    } finally {
      this.#opening.delete(opening);
    }
  }

  #take(next: Generation): void {
    this.#generations.set(next.number, next);
    this.#options.streams.set(next.server, next.stream);
    next.watch();
    this.#send({ type: 'server.ready', generation: next.number, atMs: this.#options.clock.now() });
    const watched = new Set(this.context.watched.map(({ generation }) => generation));
    for (const one of this.#generations.values()) if (!watched.has(one.number)) void this.#forget(one);
  }

  async #reopenStream(generation: Generation): Promise<void> {
    const { gaps } = generation.stream;
    try {
      const stream = await this.#untilOpen(generation.reopen(this.#options.openStream, this.#closing.signal));
      this.#pastGaps += gaps + 1;
      this.#options.streams.set(generation.server, stream);
      this.#tell((one) => one.onStream(stream, generation.server));
      this.#tell((one) => one.onNotice({ type: 'stream.live', generation: 0, incomplete: true }, generation.server));
    } catch (error) {
      this.#send({ type: 'stream.failed', generation: generation.number, error: toManagerError(error).toJSON(), ...this.#now() });
    }
  }

  async #retire(number: number): Promise<void> {
    const generation = this.#generations.get(number);
    if (!generation) return;
    // What could not be ended is named by the stop of the run, which tries again.
    await generation.server.retire().catch(() => undefined);
    await this.#leave(generation);
  }

  /** Its turns go on elsewhere when nothing of it is left that might go on with them. */
  async #endRetiring(generation: Generation, error: SerializedError): Promise<void> {
    generation.unwatch();
    await generation.server.retire().catch(() => undefined);
    this.#tell((one) => one.onRetiringLost(generation.server, error));
    await this.#leave(generation);
  }

  async #leave(generation: Generation): Promise<void> {
    const { number } = generation;
    await this.#forget(generation);
    this.#send({ type: 'generation.retired', generation: number });
  }

  /** Readers of a stream see its end when the next one is there already. */
  async #forget(generation: Generation): Promise<void> {
    const { server, stream, number } = generation;
    this.#generations.delete(number);
    generation.unwatch();
    this.#options.streams.delete(server);
    this.#pastGaps += stream.gaps;
    this.#tell((one) => one.onGone(server));
    await stream.close();
  }
}
