import type { ArrivedEvent } from '@opencode-manager/core/protocol';
import { encodeBatch, type BatchText } from './batch-text.ts';
import { WaitingEvents } from './coalesce.ts';
import { Followers } from './followers.ts';
import type { FromStreamTask, Following, Reach, StreamCounters } from './messages.ts';

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

/** What would be due so soon leaves together: one wake-up for the many. */
const slackMs = 16;

/** Without events, the counters and the time of the newest byte are reported this often. */
const quietReportMs = 1000;

/**
 * Collects events and posts them as batches, in order.
 *
 * - At most one batch a frame; a batch that is full leaves at once, and so do few events with one among them that somebody waits for.
 * - Deltas of sessions that nobody follows live leave with their session's next other event, or when they have waited long enough.
 * - Notices (`gap`, `live`) leave after every event that came before them.
 */
export class Outbox {
  readonly #post: (message: FromStreamTask) => void;
  readonly #frameMs: number;
  readonly #waiting: WaitingEvents;
  readonly #lateSequences = new Map<string, number>();
  readonly #directories = new Map<string, string>();
  readonly #forgotten = new Set<string>();
  readonly #reach: () => Reach;
  #counters: StreamCounters = emptyCounters();
  #unacknowledged = 0;
  /** An event that somebody waits for is among them. */
  #urgent = false;
  #timer: { readonly timeout: NodeJS.Timeout; readonly isUrgent: boolean } | undefined;
  readonly #followers: Followers;
  #heldTimer: NodeJS.Timeout | undefined;
  #lastReportMs = 0;
  /** Milliseconds since the epoch at which the newest byte of the stream came. */
  lastRecordAtMs: number | null = null;

  constructor(options: {
    coalesce: boolean;
    frameMs: number;
    following: Following;
    reach: () => Reach;
    post: (message: FromStreamTask) => void;
  }) {
    this.#post = options.post;
    this.#reach = options.reach;
    this.#frameMs = options.frameMs;
    this.#followers = new Followers(options.following);
    this.#waiting = new WaitingEvents(options.coalesce, (sessionId) => this.#followers.isLive(sessionId));
  }

  get counters(): StreamCounters {
    return this.#counters;
  }

  push(event: ArrivedEvent): void {
    this.#counters.events++;
    this.#urgent ||= awaitedTypes.has(event.type);
    const went = this.#waiting.push(event);
    if (went === 'joined') this.#counters.coalesced++;
    else if (went === 'held') this.#heldTimer ??= setTimeout(this.#onPatience, this.#followers.patienceMs);
    // A session that stores something is known again: the event brings its sequence.
    if (this.#forgotten.size > 0 && event.durableSequence !== undefined) this.#forgotten.delete(event.sessionId ?? '');
    if (this.#waiting.length >= maxBatchEvents) this.#flushWhenAllowed();
  }

  /** The sequence of an event that went without it; it travels with the events that are waiting now. */
  noteLateSequence(sessionId: string, sequence: number): void {
    this.#lateSequences.set(sessionId, sequence);
  }

  /** So does the directory of a session. */
  noteDirectory(sessionId: string, directory: string): void {
    this.#directories.set(sessionId, directory);
  }

  /** Nothing is remembered of the session any more, on the main thread neither, until it is met again. */
  forget(sessionId: string): void {
    this.#lateSequences.delete(sessionId);
    this.#directories.delete(sessionId);
    this.#forgotten.add(sessionId);
  }

  /** Somebody follows this session live from now on, or nobody any more; all sessions, when it is null. */
  follow(sessionId: string | null, on: boolean): void {
    this.#followers.follow(sessionId, on);
    if (!on) return;
    if (sessionId === null) this.#waiting.releaseSince(Infinity);
    else this.#waiting.release(sessionId);
    if (this.#waiting.length > 0) this.endOfRead();
  }

  /** The longest wait of a delta that nobody follows live; it counts for those that wait already, too. */
  bePatient(patienceMs: number): void {
    this.#followers.patienceMs = patienceMs;
    if (this.#heldTimer === undefined) return;
    clearTimeout(this.#heldTimer);
    this.#onPatience();
  }

  /** One read of the socket has been taken apart: what waits leaves with the frame (or now). */
  endOfRead(): void {
    if (this.#waiting.length === 0) return this.#reportWhenQuiet();
    const isUrgent = this.#urgent && this.#waiting.length < fewEvents;
    const pauseMs = isUrgent ? Math.min(leastPauseMs - (Date.now() - this.#lastReportMs), this.#frameMs) : this.#frameMs;
    if (pauseMs <= 0) this.#flushWhenAllowed();
    else this.#leaveAfter(pauseMs, isUrgent);
  }

  /** One wait at a time; an urgent one takes the place of a frame's. */
  #leaveAfter(pauseMs: number, isUrgent: boolean): void {
    if (this.#timer && (this.#timer.isUrgent || !isUrgent)) return;
    clearTimeout(this.#timer?.timeout);
    this.#timer = { timeout: setTimeout(this.#onFrame, pauseMs), isUrgent };
  }

  /** Posts a message behind everything that waits. */
  postInOrder(message: FromStreamTask): void {
    this.#waiting.releaseSince(Infinity);
    this.#flush();
    this.#post(message);
  }

  acknowledge(batches: number): void {
    this.#unacknowledged -= batches;
    if (this.#waiting.length > 0) this.endOfRead();
  }

  close(): void {
    clearTimeout(this.#timer?.timeout);
    clearTimeout(this.#heldTimer);
    this.#timer = undefined;
    this.#heldTimer = undefined;
  }

  readonly #onPatience = (): void => {
    const { patienceMs } = this.#followers;
    this.#waiting.releaseSince(Date.now() - patienceMs + slackMs);
    const { heldSinceMs } = this.#waiting;
    this.#heldTimer =
      heldSinceMs === undefined ? undefined : setTimeout(this.#onPatience, Math.max(1, heldSinceMs + patienceMs - Date.now()));
    if (this.#waiting.length > 0) this.endOfRead();
  };

  readonly #onFrame = (): void => {
    this.#timer = undefined;
    this.#flushWhenAllowed();
  };

  #flushWhenAllowed(): void {
    if (this.#unacknowledged < maxUnacknowledged) this.#flush();
  }

  #reportWhenQuiet(): void {
    if (Date.now() - this.#lastReportMs >= quietReportMs && this.#unacknowledged < maxUnacknowledged) this.#send({ heads: '', bodies: '' });
  }

  #flush(): void {
    if (this.#waiting.length > 0 || this.#lateSequences.size > 0) this.#send(encodeBatch(this.#waiting.take()));
  }

  #send(text: BatchText): void {
    clearTimeout(this.#timer?.timeout);
    this.#timer = undefined;
    this.#lastReportMs = Date.now();
    this.#unacknowledged++;
    this.#urgent = false;
    this.#post({
      type: 'batch',
      text,
      forgotten: [...this.#forgotten],
      directories: [...this.#directories],
      lateSequences: [...this.#lateSequences],
      reach: this.#reach(),
      counters: this.#counters,
      sentAtMs: this.#lastReportMs,
      lastRecordAtMs: this.lastRecordAtMs,
    });
    this.#forgotten.clear();
    this.#directories.clear();
    this.#lateSequences.clear();
    this.#counters = emptyCounters();
  }
}

function emptyCounters(): StreamCounters {
  return { events: 0, coalesced: 0, bytes: 0, malformed: 0 };
}
