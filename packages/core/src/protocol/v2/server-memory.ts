import type { SessionStatus } from '../sessions.ts';

interface Activity {
  /** When its newest message was read last, or since when it is known to be active; milliseconds since the epoch. */
  readAtMs: number;
  status: SessionStatus;
}

/** What one client knows of its server, so that it need not be asked for it again. */
export interface ServerMemory {
  directoryOf(sessionId: string): string | undefined;
  keepDirectory(sessionId: string, directory: string): void;
  /** Root of the worktree of a directory. */
  readonly roots: Map<string, string>;
  /** Sessions that were made here and have had no prompt: nothing of an earlier turn can be left in them. */
  readonly fresh: Set<string>;
  /** Sessions whose tools carry the mark of theirs on this server. */
  readonly marked: Set<string>;
  /** Sessions whose next prompt is to find no instructions of an earlier one. */
  readonly instructed: Set<string>;
  /**
   * Sessions whose turn was seen to have work in the background: between two executions opencode does not list them as active, and the turn is not
   * over.
   */
  readonly resting: Set<string>;
  forget(sessionId: string): void;

  /** A shell line is no execution, so opencode does not list its session as active; the line's request answers at its end. */
  beginShellLine(sessionId: string): void;
  endShellLine(sessionId: string): void;
  busyShellLines(): readonly string[];

  /** Those that are active now. */
  keepActive(sessionIds: readonly string[]): void;
  activityOf(sessionId: string): Activity | undefined;
}

export function createServerMemory(): ServerMemory {
  const directories = new Map<string, string>();
  const lines = new Map<string, number>();
  const activities = new Map<string, Activity>();
  const fresh = new Set<string>();
  const marked = new Set<string>();
  const instructed = new Set<string>();
  const resting = new Set<string>();
  return {
    directoryOf: (id) => directories.get(id),
    keepDirectory: (id, directory) => void directories.set(id, directory),
    roots: new Map(),
    fresh,
    marked,
    instructed,
    resting,
    forget(id) {
      directories.delete(id);
      fresh.delete(id);
      marked.delete(id);
      instructed.delete(id);
      resting.delete(id);
    },
    beginShellLine: (id) => void lines.set(id, (lines.get(id) ?? 0) + 1),
    endShellLine(id) {
      const left = (lines.get(id) ?? 0) - 1;
      if (left > 0) lines.set(id, left);
      else lines.delete(id);
    },
    busyShellLines: () => [...lines.keys()],
    keepActive(ids) {
      const now = new Set(ids);
      for (const id of activities.keys()) if (!now.has(id)) activities.delete(id);
      for (const id of now) if (!activities.has(id)) activities.set(id, { readAtMs: Date.now(), status: { type: 'busy' } });
    },
    activityOf: (id) => activities.get(id),
  };
}
