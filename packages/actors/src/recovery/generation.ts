import type { ServerExit } from '@opencode-manager/core';
import { OpencodeManagerError, type SerializedError } from '@opencode-manager/core/errors';
import type { Clock, ServerPort, StreamNotice, StreamPort } from '../ports/index.ts';
import { HealthWatch, type HealthCheck } from './health-watch.ts';

/** The system closes a dead server's connections before it tells of its death; a stream that hangs elsewhere is not waited for. */
const lastWordsMs = 100;

export interface GenerationOptions {
  readonly server: ServerPort;
  readonly stream: StreamPort;
  readonly clock: Clock;
  /** When a server that does not answer counts as lost; never, when absent. */
  readonly health: HealthCheck | undefined;
  /** Wait between two readings of its memory, in milliseconds. */
  readonly memoryCheckMs: number;
  readonly onNotice: (notice: StreamNotice, server: ServerPort) => void;
  /** Gone or of no use; told once. Expected: somebody stopped it. */
  readonly onLost: (generation: Generation, error: SerializedError, isExpected: boolean) => void;
  readonly onMemory: (generation: Generation, rssBytes: number) => void;
}

/** One server that a pool works on, with its event stream and what watches over both. */
export class Generation {
  readonly server: ServerPort;
  readonly stream: StreamPort;
  readonly #options: GenerationOptions;
  readonly #stopListening: () => void;
  #health: HealthWatch | undefined;
  #memoryTimer: unknown;
  #lost = false;
  #unwatched = false;

  constructor(options: GenerationOptions) {
    const { stream, server, onNotice } = options;
    this.#options = options;
    this.server = server;
    this.stream = stream;
    this.#stopListening = stream.watch((notice) => onNotice(notice, server));
  }

  get isLost(): boolean {
    return this.#lost;
  }

  /** Resolves when its events arrive. @throws `STREAM_UNAVAILABLE`, `SERVER_EXITED` */
  async ready(): Promise<void> {
    await Promise.race([this.stream.ready(), this.#rejectAtExit()]);
  }

  /** From now on its end is noticed. */
  watch(): void {
    const { server, stream } = this;
    const { health: check, clock } = this.#options;
    if (check) this.#health = new HealthWatch({ server, stream, clock, check, onWedged: (error) => this.#lose(error, false) });
    this.#scheduleMemory();
    void server.exited.then((exit) => this.#loseAtExit(exit));
  }

  /** Hears of nothing any more; the stream stays open. */
  unwatch(): void {
    this.#unwatched = true;
    this.#health?.stop();
    this.#options.clock.clearTimeout(this.#memoryTimer);
    this.#stopListening();
  }

  #scheduleMemory(): void {
    const { clock, memoryCheckMs } = this.#options;
    this.#memoryTimer = clock.setTimeout(() => void this.#readMemory(), memoryCheckMs, { background: true });
  }

  async #readMemory(): Promise<void> {
    const rssBytes = await this.server.residentBytes();
    if (this.#lost || this.#unwatched) return;
    this.#scheduleMemory();
    if (rssBytes > 0) this.#options.onMemory(this, rssBytes);
  }

  /** What the server wrote last comes before the end of its stream, and belongs to the turns that are lost with it. */
  async #loseAtExit(exit: ServerExit): Promise<void> {
    await this.#streamEnd();
    this.#lose(serverExited(exit, this.server.output()), exit.expected);
  }

  async #streamEnd(): Promise<void> {
    if (this.#unwatched || this.stream.state !== 'live') return;
    const { clock } = this.#options;
    const over = Promise.withResolvers<void>();
    const stop = this.stream.watch(({ type }) => type.startsWith('stream.') && over.resolve());
    const timer = clock.setTimeout(() => over.resolve(), lastWordsMs);
    await over.promise;
    clock.clearTimeout(timer);
    stop();
  }

  #lose(error: SerializedError, isExpected: boolean): void {
    if (this.#lost || this.#unwatched) return;
    this.#lost = true;
    this.#health?.stop();
    this.#options.clock.clearTimeout(this.#memoryTimer);
    this.#options.onLost(this, error, isExpected);
  }

  async #rejectAtExit(): Promise<never> {
    throw OpencodeManagerError.from(serverExited(await this.server.exited, this.server.output()));
  }
}

/** What every turn of a server ends with when the server dies; carries the tail of its output. */
function serverExited(exit: ServerExit, output: string): SerializedError {
  const how = exit.signal === undefined ? `exit code ${exit.exitCode}` : `signal ${exit.signal}`;
  return new OpencodeManagerError('SERVER_EXITED', `The opencode server ended (${how}).`, { output, details: { ...exit } }).toJSON();
}
