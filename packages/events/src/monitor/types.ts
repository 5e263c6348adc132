import type { OpencodeManagerError, SerializedError, ServerCredentials } from '@opencode-manager/core';
import type { EventPlane, ProtocolName, ServerEvent, ServerEventType } from '@opencode-manager/core/protocol';

/** What a monitor needs of a server; an `OpencodeServer` has it. */
export interface EventSource {
  credentials(): Pick<ServerCredentials, 'url' | 'authorization'>;
  /** A directory that the server works in; its own when absent. */
  readonly directory?: string;
  /** The protocol that it speaks; `v1` when absent. */
  readonly protocol?: ProtocolName;
}

/** What the monitor itself reports among the server's events. */
export type MonitorNotice =
  /** The stream was lost; what comes after `stream.live` of the same generation is complete again. */
  | { readonly type: 'stream.gap'; readonly generation: number; readonly reason: string }
  /**
   * The stream is live and, after a gap, durable events have been replayed. `incomplete`: nothing was replayed, because
   * this monitor has seen more than 900 sessions; read the state of those that you follow.
   */
  | { readonly type: 'stream.live'; readonly generation: number; readonly replayed: number; readonly incomplete?: true }
  /** This subscriber was too slow: so many deltas and part updates were left out for it. Lifecycle events never are. */
  | { readonly type: 'stream.dropped'; readonly count: number; readonly sessionId?: string }
  /** The monitor gave up and will report nothing more: `STREAM_UNAVAILABLE` or `STREAM_WORKER_LOST`. */
  | { readonly type: 'stream.failed'; readonly error: SerializedError };

/** One event as subscribers get it. `sequence` is the monitor's own order, growing by one for each event of the stream. */
export type MonitorEvent = { readonly sequence: number } & (
  | ServerEvent
  | (MonitorNotice & { readonly plane: 'lifecycle'; readonly sessionId?: string; readonly directory?: string })
);

export type MonitorEventType = ServerEventType | MonitorNotice['type'];

/**
 * What a subscriber wants. All conditions that are given must hold. What the monitor reports of the stream itself
 * (`stream.*`) concerns every session and directory, so for it `type` and `plane` alone count.
 */
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
  /**
   * `normal`: a batch every 16 ms; while few events wait, a turn's end, an error and an ask wait for none. `low`: events cross the thread
   * boundary at once. Default `normal`.
   */
  readonly latency?: 'normal' | 'low';
  /** Silence after which the stream counts as dead; the server sends a heartbeat every 10 s. Default 25,000. */
  readonly watchdogMs?: number;
  /** Wait before a reconnect: first and longest, jittered. Default { minMs: 100, maxMs: 5000 }. */
  readonly reconnect?: { readonly minMs?: number; readonly maxMs?: number };
  /** Stream events that one slow subscriber may have waiting before the oldest deltas are dropped. Default 10,000. */
  readonly bufferLimit?: number;
}

/** `opening` until the first record, `live`, `reconnecting` after a loss, `closed` by you, `failed` for good (see `error`). */
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
  /** Times the stream came live again after a gap. */
  readonly reconnects: number;
  readonly workerRestarts: number;
  /** Milliseconds between the newest batch's departure from the worker and its arrival. */
  readonly lagMs: number;
  /** When the newest byte of the stream came, heartbeats included (milliseconds since the epoch, exact to a second); null before the first. */
  readonly lastRecordAtMs: number | null;
}

/**
 * The one event connection of a server, read in a worker thread and fanned out here.
 *
 * Guarantees of the channel:
 * - events of one session arrive in the server's order; coalesced deltas come before the session's next other event;
 * - a subscription that is made inside a listener receives every later event, those of the same batch included. So a listener of
 *   `session.created` that subscribes the new session's id misses none of its events, except in a gap that ends `incomplete`;
 * - events of other sessions cost a subscription with a `sessionId` nothing, and it is cheap to add and remove: one for each of
 *   thousands of sessions is fine;
 * - lifecycle events are never dropped; stream events are dropped for a slow subscriber only, oldest deltas first, and
 *   the subscriber is told how many;
 * - after a gap, durable events are replayed exactly once before `stream.live`, unless it says `incomplete`; what opencode
 *   does not store (status, asks, deltas) is not replayed: read a snapshot when you see `stream.live`;
 * - a monitor that gives up delivers `stream.failed` as its last event; iterators then reject once, with `error`.
 *
 * @example
 * const follow = (sessionId: string) => monitor.on({ sessionId, type: ['session.*', 'message.updated'] }, onEvent)
 * monitor.on({ type: 'session.created' }, (event) => {
 *   if (event.type === 'session.created') follow(event.data.session.id)
 * })
 * @public
 */
export interface EventMonitor extends AsyncDisposable {
  readonly state: MonitorState;
  /** Losses of the stream so far. */
  readonly gaps: number;
  /** A copy of the counters as they are now. */
  readonly stats: MonitorStats;
  /** Why the monitor gave up, in the state `failed`. */
  readonly error: OpencodeManagerError | undefined;
  /**
   * All events that match, from now on, until the consumer leaves the loop, `signal` aborts or the monitor closes (then
   * what is buffered can still be read). Rejects when the monitor fails. @throws `MONITOR_CLOSED`
   */
  streamEvents(filter?: EventFilter, options?: { readonly signal?: AbortSignal }): AsyncIterableIterator<MonitorEvent>;
  /** Events of one session. */
  sessionEvents(sessionId: string, options?: { readonly signal?: AbortSignal }): AsyncIterableIterator<MonitorEvent>;
  /**
   * Calls the listener for each event that matches, at once and in order; what it throws is reported, not passed on. Call the
   * result to stop: nothing comes afterwards.
   * @throws `MONITOR_CLOSED`, or what the monitor failed with
   */
  on(filter: EventFilter, listener: (event: MonitorEvent) => void): () => void;
  /**
   * Resolves when the stream is live: what the server sends from then on reaches its subscribers. The deadline is 30 s
   * when none is given. @throws `STREAM_UNAVAILABLE`, `STREAM_WORKER_LOST`, `MONITOR_CLOSED`, `REQUEST_ABORTED`
   */
  ready(options?: { readonly signal?: AbortSignal; readonly timeoutMs?: number }): Promise<void>;
  /**
   * Drops the connection as a fault would; the monitor reports a gap, connects again and replays. For demonstrations
   * and tests of what stands on it.
   * @experimental
   */
  reconnect(reason?: string): void;
  /** Ends the connection and, with the process's last monitor, the thread. Idempotent. */
  close(): Promise<void>;
}
