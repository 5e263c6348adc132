import type { ArrivedEvent } from '@opencode-manager/core/protocol';

/** Sessions that one request for the history may name: opencode 1.18 answers 500 beyond 1,000 (the depth of SQLite's expressions). */
export const mostSessions = 900;

/** How far one session was passed on. */
export interface SessionCursor {
  /** Newest durable sequence. */
  sequence: number;
  /** The history does not name it. */
  directory: string | undefined;
}

/** What one thread tells the other of its cursors; null when more sessions came by than are remembered. */
export type CursorEntries = readonly (readonly [sessionId: string, cursor: Readonly<SessionCursor>])[] | null;

/**
 * How far the sessions of a stream were passed on: where a replay goes on. The stream's thread keeps them to ask for what it
 * missed, the main thread to tell a new stream's thread where to begin.
 *
 * No request can name more than {@link mostSessions}. With one session more everything is forgotten, for good: gaps are then
 * reported as incomplete instead of replayed.
 */
export class SessionCursors {
  #cursors: Map<string, SessionCursor> | undefined;

  constructor(entries: CursorEntries = []) {
    this.#cursors = entries === null ? undefined : new Map(entries);
  }

  /** False when more sessions came by than are remembered. */
  get complete(): boolean {
    return this.#cursors !== undefined;
  }

  get entries(): CursorEntries {
    return this.#cursors ? [...this.#cursors] : null;
  }

  get(sessionId: string): Readonly<SessionCursor> | undefined {
    return this.#cursors?.get(sessionId);
  }

  /** Notes an event that was passed on. One that is not stored says nothing about a session's place. */
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
