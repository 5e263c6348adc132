import { protocolNamed, type ArrivedEvent, type ProtocolStream, type RecordReader } from '@opencode-manager/core/protocol';
import { BackOff } from './back-off.ts';
import { readEventStream, type ConnectionEnd } from './connection.ts';
import { readHistory } from './history.ts';
import { Ledger } from './ledger.ts';
import type { FromStreamTask, StreamTaskInput } from './messages.ts';
import { Outbox } from './outbox.ts';
import { SubscriptionProbe } from './subscription-probe.ts';
import { SyncPairs } from './sync-pairs.ts';

/** A stored event whose number does not follow is passed on without it after this long; it follows directly. */
const unpairedEventMs = 1000;

/** Before the first record; while events are held until the stream is known to be complete; while they are passed on. */
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
  readonly #protocol: ProtocolStream;
  readonly #records: RecordReader;
  readonly #closing = new AbortController();
  #connection = new AbortController();
  #probe: SubscriptionProbe;
  #phase: Phase = 'connecting';
  #generation: number;
  /** True between a loss and the next `live`; false before the first one, when nothing can have been lost. */
  #inGap: boolean;
  #unpairedTimer: NodeJS.Timeout | undefined;

  constructor(input: StreamTaskInput, post: (message: FromStreamTask) => void) {
    this.#input = input;
    this.#backOff = new BackOff(input.reconnectMinMs, input.reconnectMaxMs);
    this.#outbox = new Outbox({ coalesce: input.coalesce, frameMs: input.frameMs, post });
    this.#protocol = protocolNamed(input.protocol).stream;
    this.#ledger = new Ledger(input.resume, this.#outbox, this.#protocol.replay?.seal);
    this.#records = this.#protocol.createReader();
    this.#probe = new SubscriptionProbe(this.#protocol.probe);
    this.#pairs = new SyncPairs(this.#ledger, this.#protocol.storedTypes);
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

  close(): void {
    this.#closing.abort('closed');
  }

  #connect(): Promise<ConnectionEnd> {
    this.#connection = new AbortController();
    this.#probe = new SubscriptionProbe(this.#protocol.probe);
    this.#phase = 'connecting';
    this.#ledger.hold();
    return readEventStream({
      request: this.#protocol.request(),
      url: this.#input.url,
      authorization: this.#input.authorization,
      watchdogMs: this.#input.watchdogMs,
      signal: AbortSignal.any([this.#connection.signal, this.#closing.signal]),
      onRecord: (data) => this.#onRecord(data),
      onRead: (bytes) => this.#onRead(bytes),
    });
  }

  #onRecord(data: string): void {
    const frame = this.#records.read(data);
    if (frame.kind === 'malformed') {
      this.#outbox.counters.malformed++;
      return;
    }
    if (this.#phase === 'connecting') this.#onFirstRecord();
    if (frame.kind === 'sync') this.#pairs.accept(frame);
    else for (const event of frame.kind === 'event' ? [frame.event] : frame.events) this.#onEvent(event);
  }

  #onEvent(event: ArrivedEvent): void {
    if (this.#concernsSubscribers(event)) this.#pairs.accept({ kind: 'event', event });
  }

  /** A heartbeat is a sign of life, which comes every 10 s, and nothing else. */
  #concernsSubscribers(event: ArrivedEvent): boolean {
    return event.type !== 'server.heartbeat' && !this.#probe.observe(event);
  }

  #onRead(bytes: number): void {
    this.#outbox.counters.bytes += bytes;
    this.#outbox.lastRecordAtMs = Date.now();
    if (this.#pairs.holding) this.#unpairedTimer ??= setTimeout(() => this.#releaseUnpaired(), unpairedEventMs);
    else this.#stopUnpairedTimer();
    this.#outbox.endOfRead();
  }

  #onFirstRecord(): void {
    this.#backOff.reset();
    this.#phase = 'catching-up';
    void this.#catchUp(this.#connection);
  }

  async #catchUp(connection: AbortController): Promise<void> {
    const signal = AbortSignal.any([connection.signal, this.#closing.signal]);
    const options = { url: this.#input.url, authorization: this.#input.authorization, signal };
    try {
      await this.#probe.prove(this.#input.directory, options);
      const { replay } = this.#protocol;
      const incomplete = this.#inGap && (replay === undefined || !this.#ledger.cursors.complete);
      const named = this.#ledger.named();
      const history =
        replay && this.#inGap && !incomplete ? await readHistory(replay, named, options, () => this.#outbox.counters.malformed++) : [];
      if (!signal.aborted) this.#goLive(this.#ledger.release(history), incomplete);
    } catch (error) {
      // A stream that is not known to be complete is not live: this attempt counts as failed.
      connection.abort(`the new connection could not catch up: ${(error as Error).message}`);
    }
  }

  #goLive(replayed: number, incomplete: boolean): void {
    this.#phase = 'live';
    this.#inGap = false;
    this.#outbox.postInOrder({ type: 'live', generation: this.#generation, replayed, incomplete, baselineId: this.#ledger.baselineId });
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
