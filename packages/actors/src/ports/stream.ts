import type { SerializedError } from '@opencode-manager/core';
import type { SessionFact } from '@opencode-manager/core/protocol';
import type { EventMonitor } from '@opencode-manager/events';
import type { ServerPort } from './server.ts';

/** What concerns the stream itself, the server as a whole, or sessions that nobody knows yet. */
export type StreamNotice =
  /** Facts were lost; what comes after `stream.live` is complete again, but for what the server does not store. */
  | { readonly type: 'stream.gap'; readonly generation: number; readonly reason: string }
  /** `incomplete`: of what came in the gap nothing comes any more, and later facts may lack what they build on. */
  | { readonly type: 'stream.live'; readonly generation: number; readonly incomplete?: true }
  /** Nothing more will come of this stream. */
  | { readonly type: 'stream.failed'; readonly error: SerializedError }
  | { readonly type: 'session.created'; readonly sessionId: string; readonly parentId: string | null }
  /** The turns of a directory (of all, when null) were aborted, and no event says so. */
  | { readonly type: 'directory.disposed'; readonly directory: string | null }
  /** The turn of a session ended, and no event says so. */
  | { readonly type: 'session.ended'; readonly sessionId: string };

/**
 * The events of one server, as facts.
 *
 * - Facts of one session come in the server's order, and after the notices that came before them.
 * - Who follows a session when its `session.created` is told gets all of its facts, those of the same batch too.
 * - At most once: what is lost in a gap is announced by `stream.gap`.
 */
export interface StreamPort {
  /** What callers of the pool are handed; hosts do not use it. */
  readonly handle: EventMonitor;
  readonly state: 'opening' | 'live' | 'reconnecting' | 'closed' | 'failed';
  readonly gaps: number;
  /** When the newest byte came; null before the first. */
  readonly lastRecordAtMs: number | null;
  /** Resolves when it is live. @throws `STREAM_UNAVAILABLE` */
  ready(options?: { readonly signal?: AbortSignal }): Promise<void>;
  follow(session: { readonly id: string; readonly directory: string }, listener: (fact: SessionFact) => void): () => void;
  watch(listener: (notice: StreamNotice) => void): () => void;
  close(): Promise<void>;
}

/** Opens the events of a server; usable at once, live later. */
export type OpenStreamPort = (server: ServerPort) => StreamPort;
