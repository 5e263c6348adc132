import type { EventPlane, ServerEvent, ServerEventType } from '@opencode-manager/core/protocol';

/** What the monitor itself reports among the server's events. */
export type MonitorNotice =
  /** The stream was lost; what comes after `stream.live` of the same generation is complete again. */
  | { readonly type: 'stream.gap'; readonly generation: number; readonly reason: string }
  /** The stream is live and, after a gap, durable events have been replayed. */
  | { readonly type: 'stream.live'; readonly generation: number; readonly replayed: number }
  /** This subscriber was too slow: so many deltas and part updates were left out for it. Lifecycle events never are. */
  | { readonly type: 'stream.dropped'; readonly count: number; readonly sessionId?: string };

/** One event as subscribers get it. `sequence` is the monitor's own order, growing by one for each event of the stream. */
export type MonitorEvent = { readonly sequence: number } & (
  | ServerEvent
  | (MonitorNotice & { readonly plane: 'lifecycle'; readonly sessionId?: string; readonly directory?: string })
);

export type MonitorEventType = ServerEventType | MonitorNotice['type'];

/** What a subscriber wants. All conditions that are given must hold. */
export interface EventFilter {
  readonly sessionId?: string | readonly string[];
  /** Real path of a directory, or a pattern with `*`. */
  readonly directory?: string;
  /** Types, with `*` as wildcard: `message.*`, `*.asked`, `*`. */
  readonly type?: MonitorEventType | (string & {}) | readonly string[];
  readonly plane?: EventPlane;
}

export interface EventMonitorOptions {
  /** Joins deltas of the same part within a frame in the worker. Default true. */
  readonly coalesce?: boolean;
  /** `normal`: a batch every 16 ms at most. `low`: events cross the thread boundary at once. Default `normal`. */
  readonly latency?: 'normal' | 'low';
  /** Silence after which the stream counts as dead; the server sends a heartbeat every 10 s. Default 25,000. */
  readonly watchdogMs?: number;
  /** Wait before a reconnect: first and longest, jittered. Default { minMs: 100, maxMs: 5000 }. */
  readonly reconnect?: { readonly minMs?: number; readonly maxMs?: number };
  /** Stream events that one slow subscriber may have waiting before the oldest deltas are dropped. Default 10,000. */
  readonly bufferLimit?: number;
}

/** `opening` until the first record, `live`, `reconnecting` after a loss, `closed`. */
export type MonitorState = 'opening' | 'live' | 'reconnecting' | 'closed' | 'failed';

export interface MonitorStats {
  /** Events decoded by the worker. */
  readonly events: number;
  /** Deltas that were joined into others. */
  readonly coalesced: number;
  readonly bytes: number;
  readonly batches: number;
  /** Stream events dropped for slow subscribers. */
  readonly dropped: number;
  readonly malformed: number;
  readonly reconnects: number;
  readonly workerRestarts: number;
  /** Milliseconds between the newest batch's departure from the worker and its arrival. */
  readonly lagMs: number;
}

/**
 * The one event connection of a server, read in a worker thread and fanned out here.
 *
 * Guarantees of the channel:
 * - events of one session arrive in the server's order; coalesced deltas come before the session's next other event;
 * - lifecycle events are never dropped; stream events are dropped for a slow subscriber only, oldest deltas first, and
 *   the subscriber is told how many;
 * - after a gap, durable events are replayed exactly once before `stream.live`; what opencode does not store (status,
 *   asks, deltas) is not replayed: read a snapshot when you see `stream.live`.
 * @public
 */
export interface EventMonitor extends AsyncDisposable {
  readonly state: MonitorState;
  /** Losses of the stream so far. */
  readonly gaps: number;
  readonly stats: MonitorStats;
  /** All events that match, from now on, until the consumer leaves the loop or the monitor closes. */
  streamEvents(filter?: EventFilter, options?: { readonly signal?: AbortSignal }): AsyncIterableIterator<MonitorEvent>;
  /** Events of one session. */
  sessionEvents(sessionId: string, options?: { readonly signal?: AbortSignal }): AsyncIterableIterator<MonitorEvent>;
  /** Calls the listener for each event that matches, at once and in order; what it throws is reported, not passed on. Call the result to stop. */
  on(filter: EventFilter, listener: (event: MonitorEvent) => void): () => void;
  /** Resolves when the stream is live. @throws `STREAM_UNAVAILABLE`, `MONITOR_CLOSED` */
  ready(options?: { readonly signal?: AbortSignal; readonly timeoutMs?: number }): Promise<void>;
  /** Ends the connection and the thread. Idempotent. */
  close(): Promise<void>;
}
