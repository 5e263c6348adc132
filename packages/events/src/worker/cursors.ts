import type { ArrivedEvent } from '@opencode-manager/core/protocol';

/** Sessions that one request for the history may name: opencode 1.18 answers 500 beyond 1,000 (the depth of SQLite's expressions). */
export const mostSessions = 900;

/** How far one session was passed on. */
export interface SessionCursor {
  /** Newest durable sequence. */
  sequence: number;
  /** Kept because the history does not name it. */
  directory: string | undefined;
}

/** Cursors as they cross between the threads; null when there were more sessions than are remembered. */
export type CursorEntries = readonly (readonly [sessionId: string, cursor: Readonly<SessionCursor>])[] | null;

/**
 * The newest durable sequence of each session: a replay continues from there. The stream's thread needs it to request what it
 * missed, the main thread to start another thread when one is lost.
 *
 * No request can name more than {@link mostSessions}. With one session more, all of them are forgotten for good: from then on
 * nothing is replayed after a gap, and the gap is reported as incomplete.
 */
export class SessionCursors {
  #cursors: Map<string, SessionCursor> | undefined;

  constructor(entries: CursorEntries = []) {
    this.#cursors = entries === null ? undefined : new Map(entries);
  }

  /** False when there were more sessions than are remembered. */
  get complete(): boolean {
    return this.#cursors !== undefined;
  }

  get entries(): CursorEntries {
    return this.#cursors ? [...this.#cursors] : null;
  }

  get(sessionId: string): Readonly<SessionCursor> | undefined {
    return this.#cursors?.get(sessionId);
  }

  /** Notes an event that was passed on. Only stored events have a sequence; others change nothing. */
  note({ sessionId, durableSequence, directory }: Pick<ArrivedEvent, 'sessionId' | 'durableSequence' | 'directory'>): void {
    if (this.#cursors === undefined || sessionId === undefined || durableSequence === undefined) return;
    const known = this.#cursors.get(sessionId);
    if (known) {
      known.sequence = durableSequence;
      known.directory ??= directory && ownText(directory);
    } else if (this.#cursors.size < mostSessions) {
      this.#cursors.set(ownText(sessionId), { sequence: durableSequence, directory: directory && ownText(directory) });
    } else {
      this.#cursors = undefined;
    }
  }
}

/** A copy: the engine keeps a whole read of the socket for as long as a piece that was cut out of it is held. */
function ownText(text: string): string {
  return JSON.parse(JSON.stringify(text)) as string;
}
