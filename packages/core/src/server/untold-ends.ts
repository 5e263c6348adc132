import type { ProtocolProcess, UntoldEnd } from '../protocol/index.ts';
import type { Redactor } from '../secrets/index.ts';

/** Ends of turns that a server could not store: they stand in its log alone, which is read as it comes, for its tail is short. */
export interface UntoldEnds {
  push(chunk: string): void;
  /** The newest of a session. */
  of(sessionId: string): UntoldEnd | undefined;
  /** Calls back with the session of each; gives what ends that. */
  listen(listener: (sessionId: string) => void): () => void;
}

/** Sessions that are remembered, and characters of one line. */
const longest = { sessions: 1000, line: 64 * 1024 };

export function createUntoldEnds(protocol: Pick<ProtocolProcess, 'untoldEnd'>, redactor: Redactor): UntoldEnds {
  const known = new Map<string, UntoldEnd>();
  const listeners = new Set<(sessionId: string) => void>();
  let begun = '';
  const read = (line: string) => {
    const end = protocol.untoldEnd?.(redactor.text(line));
    if (!end) return;
    known.delete(end.sessionId);
    known.set(end.sessionId, end);
    for (const oldest of known.keys()) if (known.size > longest.sessions) known.delete(oldest);
    for (const listener of listeners) listener(end.sessionId);
  };
  return {
    push(chunk) {
      if (!protocol.untoldEnd) return;
      const lines = (begun + chunk).split('\n');
      begun = lines.pop()!.slice(-longest.line);
      for (const line of lines) read(line);
    },
    of: (sessionId) => known.get(sessionId),
    listen(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
