import type { MessagePort } from 'node:worker_threads';
import type { ProtocolName } from '@opencode-manager/core/protocol';
import type { BatchText } from './batch-text.ts';
import type { CursorEntries } from './cursors.ts';

/** How far the events that reached the main thread go; a new worker continues from here. */
export interface ResumePoint {
  readonly cursors: CursorEntries;
  /** Id of the first event of the monitor's first connection; what is older than it was before our time. */
  readonly baselineId: string;
}

/** Everything that a stream task needs to begin. Holds a secret: it crosses the thread boundary and is never printed. */
export interface StreamTaskInput {
  readonly protocol: ProtocolName;
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** Value of the `authorization` header. */
  readonly authorization: string;
  /** A directory that the server works in; its own when absent. */
  readonly directory: string | undefined;
  readonly coalesce: boolean;
  /** Milliseconds between two batches; 0 sends each read of the socket at once. */
  readonly frameMs: number;
  readonly watchdogMs: number;
  readonly reconnectMinMs: number;
  readonly reconnectMaxMs: number;
  /** Number of the connection generation that this task begins with. */
  readonly generation: number;
  /** Set when an earlier worker was lost: the task begins inside a gap. */
  readonly resume: ResumePoint | null;
}

/** From the main thread to the stream task. */
export type ToStreamTask =
  /** So many batches were routed; the task keeps a bounded number of them on the way. */
  | { readonly type: 'acknowledge'; readonly batches: number }
  /** Drop the connection as a fault would, and begin again. */
  | { readonly type: 'reconnect'; readonly reason: string }
  | { readonly type: 'close' };

/** What the task counted since its last report. */
export interface StreamCounters {
  events: number;
  coalesced: number;
  bytes: number;
  malformed: number;
}

/** From the stream task to the main thread; in order. */
export type FromStreamTask =
  | {
      readonly type: 'batch';
      /** The events; empty when only the counters are told. */
      readonly text: BatchText;
      readonly counters: StreamCounters;
      /** Milliseconds since the epoch: departure of the batch, and the newest byte of the stream. */
      readonly sentAtMs: number;
      readonly lastRecordAtMs: number | null;
    }
  /** The durable sequence of an event that went without it; all others are with their events. */
  | { readonly type: 'late-sequence'; readonly sessionId: string; readonly durableSequence: number }
  | { readonly type: 'gap'; readonly generation: number; readonly reason: string }
  | {
      readonly type: 'live';
      readonly generation: number;
      readonly replayed: number;
      /** Nothing was replayed after the gap: the stream has carried more sessions than are remembered. */
      readonly incomplete: boolean;
      readonly baselineId: string;
    }
  /** A connection attempt failed and will be repeated. */
  | { readonly type: 'attempt-failed'; readonly reason: string }
  /** The server answers, but not with an event stream; repeating the request would not help. The task ends. */
  | { readonly type: 'refused'; readonly reason: string; readonly statusCode: number };

/** What Piscina hands to the worker's entry. */
export interface StreamTaskRequest {
  readonly input: StreamTaskInput;
  readonly port: MessagePort;
}
