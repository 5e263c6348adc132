import type { MemoryLimit, ServerContext } from './server.types.ts';
import type { ServerEventOf } from './server-watch.ts';

type Reading = ServerEventOf<'server.memory'>;

/** After a replacement that freed nothing, no other one for memory begins for this long, in milliseconds: ten minutes. */
const holdMs = 600_000;

/** Resident bytes that a server may have which holds so many directories. */
export function mostBytesOf({ maxBytes, perDirectoryBytes = 0, mostBytes = Infinity }: MemoryLimit, directories = 0): number {
  return Math.min(maxBytes + perDirectoryBytes * directories, mostBytes);
}

/** Whether the present server is above its limit, and not young. */
export function isTooLarge({ memory, sinceMs }: ServerContext, { rssBytes, directories, atMs }: Reading): boolean {
  return memory !== null && atMs - sinceMs >= memory.minAgeMs && rssBytes > mostBytesOf(memory, directories);
}

export function isHeld({ memoryHeldUntilMs }: ServerContext, { atMs }: Reading): boolean {
  return memoryHeldUntilMs !== null && atMs < memoryHeldUntilMs;
}

/** Notes a reading. The first of a server that is no longer young says whether its replacement has freed memory. */
export function noteMemory(context: ServerContext, { rssBytes, atMs }: Reading): ServerContext {
  const { memory, sinceMs, replacedForMemory } = context;
  const isYoung = memory !== null && atMs - sinceMs < memory.minAgeMs;
  return { ...context, rssBytes, replacedForMemory: replacedForMemory && isYoung };
}

export function holdForMemory(context: ServerContext, reading: Reading): ServerContext {
  return { ...noteMemory(context, reading), memoryHeldUntilMs: reading.atMs + holdMs };
}
