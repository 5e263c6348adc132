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

/** Notes a reading. The first of a server that is no longer young says whether its replacement has freed memory. */
function noted(context: ServerContext, { rssBytes, atMs }: Reading): ServerContext {
  const { memory, sinceMs, replacedForMemory } = context;
  const isYoung = memory !== null && atMs - sinceMs < memory.minAgeMs;
  return { ...context, rssBytes, replacedForMemory: replacedForMemory && isYoung };
}

/** Notes a reading of the present server. One that is too large, and not young, is to be replaced, unless that has freed nothing lately. */
export function recordMemory(context: ServerContext, reading: Reading): ServerContext {
  const { memoryHeldUntilMs, rotationReason } = context;
  const isHeld = memoryHeldUntilMs !== null && reading.atMs < memoryHeldUntilMs;
  return { ...noted(context, reading), rotationReason: isTooLarge(context, reading) && !isHeld ? 'memory' : rotationReason };
}

export function holdForMemory(context: ServerContext, reading: Reading): ServerContext {
  return { ...noted(context, reading), memoryHeldUntilMs: reading.atMs + holdMs };
}
