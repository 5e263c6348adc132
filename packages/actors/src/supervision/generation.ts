import type { ServerExit } from '@opencode-manager/core';
import { OpencodeManagerError, type SerializedError } from '@opencode-manager/core/errors';
import type { Clock, OpenStreamPort, ServerPort, StreamNotice, StreamPort } from '../ports/index.ts';
import { HealthProbe, type HealthCheck } from './health-probe.ts';

/** The system closes a dead server's connections before it tells of its death; a stream that hangs elsewhere is not waited for. */
const lastWordsMs = 100;

/** For so long the server may call a session busy after its log has told the end of its turn, in milliseconds. */
const endingMs = 500;

/** A server whose events do not arrive within this time, in milliseconds, is of no use. */
const readyTimeoutMs = 30_000;

/** What a generation tells of its server. */
export interface GenerationListener {
  onNotice(generation: Generation, notice: StreamNotice): void;
  /** Expected: somebody stopped it. */
  onExit(generation: Generation, error: SerializedError, isExpected: boolean): void;
  onMemory(generation: Generation, rssBytes: number): void;
  onAnswered(generation: Generation): void;
  onUnanswered(generation: Generation, startedAtMs: number, lastRecordAtMs: number | null): void;
}

export interface GenerationOptions {
  readonly number: number;
  readonly server: ServerPort;
  readonly stream: StreamPort;
  readonly clock: Clock;
  /** How a server that does not answer is noticed; it is not, when absent. */
  readonly health: HealthCheck | undefined;
  /** Wait between two readings of its memory, in milliseconds. */
  readonly memoryCheckMs: number;
  readonly listener: GenerationListener;
}

/** One server that a pool works on, with its event stream and what watches over both. */
export class Generation {
  readonly number: number;
  readonly server: ServerPort;
  readonly #options: GenerationOptions;
  readonly #exit: ExitWatch;
  #stream: StreamPort;
  #stopListening: () => void;
  #probe: HealthProbe | undefined;
  #memoryTimer: unknown;
  #stopHearingEnds: (() => void) | undefined;

  constructor(options: GenerationOptions) {
    this.#options = options;
    this.number = options.number;
    this.server = options.server;
    this.#stream = options.stream;
    this.#exit = new ExitWatch(options.server);
    this.#stopListening = this.#listen(options.stream);
  }

  get stream(): StreamPort {
    return this.#stream;
  }

  /** Resolves when its events arrive. @throws `STREAM_UNAVAILABLE`, `SERVER_EXITED` */
  ready(signal: AbortSignal): Promise<void> {
    return this.#exit.untilLive(this.#stream, this.#options.clock, signal);
  }

  /** From now on its end, its silence and its memory are told. */
  watch(): void {
    const { server } = this;
    const { health: check, clock, listener } = this.#options;
    if (check) {
      this.#probe = new HealthProbe({
        server,
        stream: () => this.#stream,
        clock,
        check,
        onAnswered: () => listener.onAnswered(this),
        onUnanswered: (startedAtMs, lastRecordAtMs) => listener.onUnanswered(this, startedAtMs, lastRecordAtMs),
      });
    }
    this.#scheduleMemory();
    this.#stopHearingEnds = server.onUntoldEnd((sessionId) => this.#tellEnd(sessionId));
    this.#exit.onExit = (exit) => void this.#tellExit(exit);
  }

  /** Hears of nothing any more; the stream stays open. */
  unwatch(): void {
    this.#exit.onExit = undefined;
    this.#stopHearingEnds?.();
    this.#probe?.stop();
    this.#options.clock.clearTimeout(this.#memoryTimer);
    this.#stopListening();
  }

  /** Opens the events of the same server anew; the stream before is closed. @throws `STREAM_UNAVAILABLE`, `SERVER_EXITED` */
  async reopen(openStream: OpenStreamPort, signal: AbortSignal): Promise<StreamPort> {
    const next = openStream(this.server);
    try {
      await this.#exit.untilLive(next, this.#options.clock, signal);
    } catch (error) {
      await next.close();
      throw error;
    }
    const previous = this.#stream;
    this.#stopListening();
    this.#stream = next;
    this.#stopListening = this.#listen(next);
    await previous.close();
    return next;
  }

  #listen(stream: StreamPort): () => void {
    return stream.watch((notice) => this.#options.listener.onNotice(this, notice));
  }

  #tellEnd(sessionId: string): void {
    const { clock, listener } = this.#options;
    clock.setTimeout(() => this.#exit.onExit && listener.onNotice(this, { type: 'session.ended', sessionId }), endingMs, {
      background: true,
    });
  }

  #scheduleMemory(): void {
    const { clock, memoryCheckMs } = this.#options;
    this.#memoryTimer = clock.setTimeout(() => void this.#readMemory(), memoryCheckMs, { background: true });
  }

  async #readMemory(): Promise<void> {
    const rssBytes = await this.server.residentBytes();
    if (!this.#exit.onExit) return;
    this.#scheduleMemory();
    if (rssBytes > 0) this.#options.listener.onMemory(this, rssBytes);
  }

  /** What the server wrote last comes before the end of its stream, and belongs to the turns that are lost with it. */
  async #tellExit(exit: ServerExit): Promise<void> {
    await this.#streamEnd();
    if (this.#exit.onExit) this.#options.listener.onExit(this, exitError(exit, this.server.output()), exit.expected);
  }

  async #streamEnd(): Promise<void> {
    if (this.#stream.state !== 'live') return;
    const { clock } = this.#options;
    const over = Promise.withResolvers<void>();
    const stop = this.#stream.watch(({ type }) => type.startsWith('stream.') && over.resolve());
    const timer = clock.setTimeout(() => over.resolve(), lastWordsMs);
    await over.promise;
    clock.clearTimeout(timer);
    stop();
  }
}

/**
 * The end of a server's process, for as long as somebody wants to hear of it. A promise keeps what waits for it: the server
 * may be the caller's and outlive many pools, so what waits here holds this one small object alone.
 */
export class ExitWatch {
  readonly #server: Pick<ServerPort, 'output'>;
  onExit: ((exit: ServerExit) => void) | undefined;
  readonly #waiting = new Set<(exit: ServerExit) => void>();
  #exit: ServerExit | undefined;

  constructor(server: Pick<ServerPort, 'exited' | 'output'>) {
    this.#server = server;
    void server.exited.then((exit) => this.#tell(exit));
  }

  /** Waits until the events of the server arrive. @throws `STREAM_UNAVAILABLE`, `SERVER_EXITED` */
  async untilLive(stream: StreamPort, clock: Clock, signal?: AbortSignal): Promise<void> {
    const gone = Promise.withResolvers<never>();
    const onGone = (exit: ServerExit) => gone.reject(OpencodeManagerError.from(exitError(exit, this.#server.output())));
    this.#waiting.add(onGone);
    if (this.#exit) onGone(this.#exit);
    const late = new OpencodeManagerError('STREAM_UNAVAILABLE', `The event stream brought nothing within ${readyTimeoutMs} ms.`);
    const timer = clock.setTimeout(() => gone.reject(late), readyTimeoutMs);
    try {
      await Promise.race([stream.ready(signal ? { signal } : {}), gone.promise]);
    } finally {
      clock.clearTimeout(timer);
      this.#waiting.delete(onGone);
    }
  }

  #tell(exit: ServerExit): void {
    this.#exit = exit;
    for (const onGone of this.#waiting) onGone(exit);
    this.onExit?.(exit);
  }
}

/** What every turn of a server ends with when the server dies; carries the tail of its output. */
function exitError(exit: ServerExit, output: string): SerializedError {
  const how = exit.signal === undefined ? `exit code ${exit.exitCode}` : `signal ${exit.signal}`;
  return new OpencodeManagerError('SERVER_EXITED', `The opencode server ended (${how}).`, { output, details: { ...exit } }).toJSON();
}
