import { expect } from 'vitest';
import type { PoolSnapshot, SessionPool } from '../../src/index.ts';

/** Waits until a session of the pool is in a state, for example `active.awaitingInput`. */
export async function untilPath(pool: SessionPool, path: string, timeoutMs = 15_000): Promise<void> {
  await until(pool, ({ sessions }) => sessions.some((session) => session.path === path), timeoutMs);
}

/** Waits until the pool's snapshot satisfies a condition. */
export async function until(pool: SessionPool, holds: (snapshot: PoolSnapshot) => boolean, timeoutMs = 15_000): Promise<void> {
  await expect.poll(() => holds(pool.snapshot()), { timeout: timeoutMs, interval: 5 }).toBe(true);
}

/** The states that the pool's sessions go through from now on. */
export function recordPaths(pool: SessionPool): string[] {
  const paths: string[] = [];
  pool.on('session.changed', ({ session }) => paths.push(session.path));
  return paths;
}
