import type { MessagePort } from 'node:worker_threads';
import type { BatchText } from './batch-text.ts';

/** What a replay leaves out of sessions that are not named any more. */
export interface Reach {
  /** Newest stored event that was passed on. */
  newestId: string;
  /** What was passed on of a forgotten session is not younger than this event; empty while none was forgotten. */
  forgottenId: string;
  /** Sessions that were forgotten; one that came back and was forgotten again counts twice. */
  forgottenSessions: number;
}

/** How far the events that reached the main thread go; a new worker continues from here. */
export interface ResumePoint {
  /** Newest durable sequence of each session that was active lately, as `[sessionId, sequence]`. */
  readonly sequences: readonly (readonly [string, number])[];
  /** Directory of each session, as `[sessionId, directory]`: the history does not name it. */
  readonly directories: readonly (readonly [string, string])[];
  /** Id of the first record of the monitor's first connection; what is older than it was before our time. */
  readonly baselineId: string;
  readonly reach?: Readonly<Reach> | undefined;
}

/** Whose deltas are wanted within a frame. Those of other sessions may wait for the session's next other event. */
export interface Following {
  /** Somebody follows all sessions. */
  readonly all: boolean;
  readonly sessions: readonly string[];
  /** Longest wait of a delta that nobody follows live, in milliseconds. */
  readonly patienceMs: number;
}

/** Everything that a stream task needs to begin. Holds a secret: it crosses the thread boundary and is never printed. */
export interface StreamTaskInput {
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
  readonly following: Following;
  /** Number of the connection generation that this task begins with. */
  readonly generation: number;
  /** Set when an earlier worker was lost: the task begins inside a gap. */
  readonly resume: ResumePoint | null;
}

/** From the main thread to the stream task. */
export type ToStreamTask =
  /** So many batches were routed; the task keeps a bounded number of them on the way. */
  | { readonly type: 'acknowledge'; readonly batches: number }
  /** Somebody begins to follow a session live (all of them: null), or nobody does any more. */
  | { readonly type: 'follow'; readonly sessionId: string | null; readonly on: boolean }
  | { readonly type: 'patience'; readonly patienceMs: number }
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
      /** Sessions that were forgotten, and have stored nothing since. */
      readonly forgotten: readonly string[];
      /** Sessions that came for the first time, or again after they were forgotten. */
      readonly directories: ResumePoint['directories'];
      /** Durable sequences of events that went without them; all others are with their events. */
      readonly lateSequences: ResumePoint['sequences'];
      readonly reach: Readonly<Reach>;
      readonly counters: StreamCounters;
      /** Milliseconds since the epoch: departure of the batch, and the newest byte of the stream. */
      readonly sentAtMs: number;
      readonly lastRecordAtMs: number | null;
    }
  | { readonly type: 'gap'; readonly generation: number; readonly reason: string }
  | {
      readonly type: 'live';
      readonly generation: number;
      readonly replayed: number;
      /** Nothing was replayed after the gap: too many sessions had been forgotten. */
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
