import type { ArrivedEvent, ServerEventOf } from '@opencode-manager/core/protocol';
import { encodeBatch, type BatchText } from './batch-text.ts';
import type { FromStreamTask, StreamCounters } from './messages.ts';
import type { EventReceiver } from './sync-pairs.ts';

type Delta = ServerEventOf<'part.delta'>;

/** Batches on the way to the main thread beyond which events wait (and coalesce) here: a stalled main thread costs no memory there. */
const maxUnacknowledged = 16;

/**
 * Events in one batch, so that one batch never holds the main thread for long. A flood is also cheaper in small batches: what
 * they are made of is still in the processor's cache when they are written, and dies young.
 */
const maxBatchEvents = 512;

/**
 * Somebody waits for these: a turn has ended, or cannot go on. With few events waiting such a one leaves at once and takes them along,
 * because a frame of waiting would be a tenth of a short turn. All others wait for the frame: each batch wakes two threads.
 */
const awaitedTypes: ReadonlySet<ArrivedEvent['type']> = new Set([
  'session.idle',
  'session.error',
  'session.deleted',
  'permission.asked',
  'question.asked',
  'server.disposed',
] as const);

/** So many events are few; in a flood more wait, and the frame keeps its point. */
const fewEvents = 32;

/** The last batch left so long ago before that: a flood that is read in small pieces must not become as many batches. */
const leastPauseMs = 4;

/** Without events, the counters and the time of the newest byte are reported this often. */
const quietReportMs = 1000;

/**
 * Joins and collects events, and posts them as batches, in order.
 *
 * - A delta is joined to its session's newest event here when that is a delta of the same part and field. So no event of a session
 *   overtakes another one of it, and a part's text is complete before what follows it.
 * - At most one batch a frame; a batch that is full leaves at once, and so do few events with one among them that somebody waits for.
 * - Notices (`gap`, `live`) leave after every event that came before them.
 */
export class Outbox implements EventReceiver {
  readonly #post: (message: FromStreamTask) => void;
  readonly #coalesce: boolean;
  readonly #frameMs: number;
  /** They are the outbox's own to change. */
  #waiting: ArrivedEvent[] = [];
  /** The newest waiting event of each session, when it is a delta. */
  readonly #lastDelta = new Map<string | undefined, Delta>();
  #counters: StreamCounters = emptyCounters();
  #unacknowledged = 0;
  /** An event that somebody waits for is among them. */
  #urgent = false;
  #timer: { readonly timeout: NodeJS.Timeout; readonly isUrgent: boolean } | undefined;
  #lastReportMs = 0;
  /** Milliseconds since the epoch at which the newest byte of the stream came. */
  lastRecordAtMs: number | null = null;

  constructor(options: { coalesce: boolean; frameMs: number; post: (message: FromStreamTask) => void }) {
    this.#post = options.post;
    this.#coalesce = options.coalesce;
    this.#frameMs = options.frameMs;
  }

  get counters(): StreamCounters {
    return this.#counters;
  }

  event(event: ArrivedEvent): void {
    this.#counters.events++;
    if (this.#coalesce && this.#join(event)) {
      this.#counters.coalesced++;
      return;
    }
    this.#urgent ||= awaitedTypes.has(event.type);
    this.#waiting.push(event);
    if (this.#waiting.length >= maxBatchEvents) this.#flushWhenAllowed();
  }

  lateSequence(sessionId: string, durableSequence: number): void {
    this.postInOrder({ type: 'late-sequence', sessionId, durableSequence });
  }

  /** One read of the socket has been taken apart: what waits leaves with the frame (or now). */
  endOfRead(): void {
    if (this.#waiting.length === 0) return this.#reportWhenQuiet();
    const isUrgent = this.#urgent && this.#waiting.length < fewEvents;
    const pauseMs = isUrgent ? Math.min(leastPauseMs - (Date.now() - this.#lastReportMs), this.#frameMs) : this.#frameMs;
    if (pauseMs <= 0) this.#flushWhenAllowed();
    else this.#leaveAfter(pauseMs, isUrgent);
  }

  /** Posts a message behind everything that waits. */
  postInOrder(message: FromStreamTask): void {
    this.#flush();
    this.#post(message);
  }

  acknowledge(batches: number): void {
    this.#unacknowledged -= batches;
    if (this.#waiting.length > 0) this.endOfRead();
  }

  close(): void {
    this.#stopTimer();
  }

  #join(event: ArrivedEvent): boolean {
    if (event.type !== 'part.delta') {
      this.#lastDelta.delete(event.sessionId);
      return false;
    }
    const last = this.#lastDelta.get(event.sessionId);
    if (last?.data.partId !== event.data.partId || last.data.field !== event.data.field) {
      this.#lastDelta.set(event.sessionId, event);
      return false;
    }
    // The joined delta takes the newest id: it stands for everything up to there.
    (last as { id: string }).id = event.id;
    last.data.delta += event.data.delta;
    return true;
  }

  /** One wait at a time; an urgent one takes the place of a frame's. */
  #leaveAfter(pauseMs: number, isUrgent: boolean): void {
    if (this.#timer && (this.#timer.isUrgent || !isUrgent)) return;
    this.#stopTimer();
    this.#timer = { timeout: setTimeout(this.#onFrame, pauseMs), isUrgent };
  }

  readonly #onFrame = (): void => {
    this.#timer = undefined;
    this.#flushWhenAllowed();
  };

  #stopTimer(): void {
    clearTimeout(this.#timer?.timeout);
    this.#timer = undefined;
  }

  #flushWhenAllowed(): void {
    if (this.#unacknowledged < maxUnacknowledged) this.#flush();
  }

  #reportWhenQuiet(): void {
    if (Date.now() - this.#lastReportMs >= quietReportMs && this.#unacknowledged < maxUnacknowledged) this.#send({ heads: '', bodies: '' });
  }

  #flush(): void {
    if (this.#waiting.length === 0) return;
    const events = this.#waiting;
    this.#waiting = [];
    this.#lastDelta.clear();
    this.#urgent = false;
    this.#send(encodeBatch(events));
  }

  #send(text: BatchText): void {
    this.#stopTimer();
    this.#lastReportMs = Date.now();
    this.#unacknowledged++;
    const { lastRecordAtMs } = this;
    this.#post({ type: 'batch', text, counters: this.#counters, sentAtMs: this.#lastReportMs, lastRecordAtMs });
    this.#counters = emptyCounters();
  }
}

function emptyCounters(): StreamCounters {
  return { events: 0, coalesced: 0, bytes: 0, malformed: 0 };
}
