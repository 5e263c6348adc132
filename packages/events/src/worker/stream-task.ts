import { FrameReader, type ArrivedEvent, type DecodedFrame } from '@opencode-manager/core/protocol';
import { BackOff } from './back-off.ts';
import { Outbox } from './batch.ts';
import { readEventStream, type ConnectionEnd } from './connection.ts';
import { readHistory } from './history.ts';
import { Ledger } from './ledger.ts';
import type { FromStreamTask, StreamTaskInput } from './messages.ts';
import { mergeReplay } from './replay.ts';
import { SubscriptionProbe } from './subscription-probe.ts';
import { SyncPairs } from './sync-pairs.ts';

/** A stored event whose number does not follow is passed on without it after this long; it follows directly. */
const unpairedEventMs = 1000;

/** Beyond so many sessions that cannot be named, nothing is replayed after a gap. */
const mostUnnamedSessions = 2000;

/** What is done with the records of the connection: none came yet, kept until the stream is complete, or passed on. */
type Phase = 'connecting' | 'catching-up' | 'live';

/**
 * The life of one event stream: connect, prove the subscription, replay what was missed, pass events on, and after
 * every loss begin again.
 * Runs in the worker; talks through `post` alone.
 */
export class StreamTask {
  readonly #input: StreamTaskInput;
  readonly #ledger: Ledger;
  readonly #backOff: BackOff;
  readonly #outbox: Outbox;
  readonly #pairs: SyncPairs;
  readonly #frames = new FrameReader();
  readonly #closing = new AbortController();
  #connection = new AbortController();
  #probe = new SubscriptionProbe();
  #phase: Phase = 'connecting';
  /** Events of the new connection while it catches up. */
  #arrived: ArrivedEvent[] = [];
  #generation: number;
  /** True between a loss and the next `live`; false before the first one, when nothing can have been lost. */
  #inGap: boolean;
  #unpairedTimer: NodeJS.Timeout | undefined;

  constructor(input: StreamTaskInput, post: (message: FromStreamTask) => void) {
    this.#input = input;
    this.#ledger = new Ledger(input.resume, {
      onMet: (sessionId, directory) => this.#outbox.noteDirectory(sessionId, directory),
      onForgotten: (sessionId) => this.#outbox.forget(sessionId),
    });
    this.#backOff = new BackOff(input.reconnectMinMs, input.reconnectMaxMs);
    this.#outbox = new Outbox({
      coalesce: input.coalesce,
      frameMs: input.frameMs,
      following: input.following,
      reach: () => this.#ledger.sequences.reach,
      post,
    });
    this.#pairs = new SyncPairs({
      event: (event) => this.#pass(event),
      lateSequence: (sessionId, sequence) => this.#noteLateSequence(sessionId, sequence),
    });
    this.#generation = input.generation;
    this.#inGap = input.resume !== null;
  }

  /** Resolves when the task was closed or the server refused the stream. */
  async run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const end = await this.#connect();
      if (this.#closing.signal.aborted) break;
      this.#afterLoss(end);
      if (end.statusCode !== undefined) {
        this.#outbox.postInOrder({ type: 'refused', reason: end.reason, statusCode: end.statusCode });
        break;
      }
      await this.#pause(this.#backOff.next());
    }
    this.#stopUnpairedTimer();
    this.#outbox.close();
  }

  reconnect(reason: string): void {
    this.#connection.abort(reason);
  }

  acknowledge(batches: number): void {
    this.#outbox.acknowledge(batches);
  }

  follow(sessionId: string | null, on: boolean): void {
    this.#outbox.follow(sessionId, on);
  }

  bePatient(patienceMs: number): void {
    this.#outbox.bePatient(patienceMs);
  }

  close(): void {
    this.#closing.abort('closed');
  }

  #connect(): Promise<ConnectionEnd> {
    this.#connection = new AbortController();
    this.#probe = new SubscriptionProbe();
    this.#phase = 'connecting';
    this.#arrived = [];
    return readEventStream({
      url: this.#input.url,
      authorization: this.#input.authorization,
      watchdogMs: this.#input.watchdogMs,
      signal: AbortSignal.any([this.#connection.signal, this.#closing.signal]),
      onRecord: (data) => this.#onRecord(data),
      onRead: (bytes) => this.#onRead(bytes),
    });
  }

  #onRecord(data: string): void {
    const frame = this.#frames.read(data);
    if (frame.kind === 'malformed') {
      this.#outbox.counters.malformed++;
      return;
    }
    if (this.#phase === 'connecting') this.#onFirstRecord(frame);
    if (frame.kind === 'sync' || this.#concernsSubscribers(frame.event)) this.#pairs.accept(frame);
  }

  /** A heartbeat is a sign of life, which comes every 10 s, and nothing else. */
  #concernsSubscribers(event: ArrivedEvent): boolean {
    if (event.type !== 'server.heartbeat') return !this.#probe.observe(event);
    this.#ledger.sequences.settle();
    return false;
  }

  #onRead(bytes: number): void {
    this.#outbox.counters.bytes += bytes;
    this.#outbox.lastRecordAtMs = Date.now();
    if (this.#pairs.holding) this.#unpairedTimer ??= setTimeout(() => this.#releaseUnpaired(), unpairedEventMs);
    else this.#stopUnpairedTimer();
    this.#outbox.endOfRead();
  }

  #onFirstRecord(frame: DecodedFrame): void {
    this.#backOff.reset();
    if (this.#ledger.baselineId === '' && frame.kind === 'event') this.#ledger.baselineId = frame.event.id;
    this.#phase = 'catching-up';
    void this.#catchUp(this.#connection);
  }

  async #catchUp(connection: AbortController): Promise<void> {
    const signal = AbortSignal.any([connection.signal, this.#closing.signal]);
    const options = { url: this.#input.url, authorization: this.#input.authorization, signal };
    try {
      await this.#probe.prove(this.#input.directory, options);
      const missed = this.#inGap && this.#mayReplay();
      const history = missed ? await readHistory(this.#ledger.sequences.named(), options, () => this.#outbox.counters.malformed++) : [];
      if (signal.aborted) return;
      const arrived = this.#arrived;
      this.#arrived = [];
      this.#goLive(mergeReplay(history, arrived, this.#ledger, (event) => this.#outbox.push(event)));
    } catch (error) {
      // A stream that is not known to be complete is not live: this attempt counts as failed.
      connection.abort(`the new connection could not catch up: ${(error as Error).message}`);
    }
  }

  /** The history brings sessions that cannot be named from their start: with very many of them no server can answer. */
  #mayReplay(): boolean {
    return this.#ledger.sequences.unnamed <= mostUnnamedSessions;
  }

  #goLive(replayed: number): void {
    const incomplete = this.#inGap && !this.#mayReplay();
    this.#phase = 'live';
    this.#inGap = false;
    this.#outbox.postInOrder({ type: 'live', generation: this.#generation, replayed, incomplete, baselineId: this.#ledger.baselineId });
  }

  /** An event of the connection, with its number when it has one. */
  #pass(event: ArrivedEvent): void {
    if (this.#phase === 'catching-up') this.#arrived.push(event);
    else if (this.#ledger.admit(event)) this.#outbox.push(event);
  }

  #noteLateSequence(sessionId: string, sequence: number): void {
    if (this.#phase !== 'live' || (this.#ledger.sequences.get(sessionId) ?? -1) >= sequence) return;
    this.#ledger.sequences.note(sessionId, sequence);
    this.#outbox.noteLateSequence(sessionId, sequence);
  }

  #releaseUnpaired(): void {
    this.#unpairedTimer = undefined;
    this.#pairs.release();
    this.#outbox.endOfRead();
  }

  #stopUnpairedTimer(): void {
    clearTimeout(this.#unpairedTimer);
    this.#unpairedTimer = undefined;
  }

  #afterLoss({ reason }: ConnectionEnd): void {
    this.#stopUnpairedTimer();
    this.#pairs.discard();
    // Ends what still catches up: it must not declare a dead connection live.
    this.#connection.abort(reason);
    const wasLive = this.#phase === 'live';
    this.#phase = 'connecting';
    // An attempt that failed within a gap, or before the first record, loses nothing that was promised.
    if (!wasLive) return this.#outbox.postInOrder({ type: 'attempt-failed', reason });
    this.#inGap = true;
    this.#generation++;
    this.#outbox.postInOrder({ type: 'gap', generation: this.#generation, reason });
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#closing.signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, delayMs);
      this.#closing.signal.addEventListener('abort', done, { once: true });
    });
  }
}
