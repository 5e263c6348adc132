import type { UntoldEnd } from '../calls.ts';
import { isEnd } from './history.ts';
import type { WireMessage } from './wire.ts';

/** Entries of a turn; others are of the session, or of shell lines. */
const ofTurns: ReadonlySet<string> = new Set(['user', 'assistant', 'synthetic', 'compaction', 'idle'] satisfies WireMessage['type'][]);

/** Whether the newest turn of a session is the one that ended so: it began before, and nothing in its history says that it ended. */
export function endsWith({ atMs }: UntoldEnd, messages: readonly WireMessage[]): boolean {
  const newest = messages.findLast(({ type }) => ofTurns.has(type));
  if (!newest || newest.type === 'idle') return false;
  if (newest.type === 'assistant' && newest.time?.completed !== undefined && isEnd(newest)) return false;
  return (newest.time?.created ?? Infinity) <= atMs;
}

/** The entry that opencode would have stored. Its id comes after all others. */
export function entryOf({ atMs }: UntoldEnd, messages: readonly WireMessage[]): WireMessage {
  return { type: 'idle', id: `${messages.at(-1)?.id ?? 'msg_'}:end`, outcome: 'failed', time: { created: atMs } };
}
