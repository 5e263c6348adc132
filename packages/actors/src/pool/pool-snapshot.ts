import type { PoolContext } from '../machines/index.ts';
import type { PoolSnapshot } from './types.ts';

/** What the pool shows of itself: its actor's memory, and what its host knows beside it. */
export function poolSnapshotOf(
  { maxSessions, queued, retrying, active, finished, outcomes, restarts, serverRestarts, provider, error }: PoolContext,
  host: Pick<PoolSnapshot, 'state' | 'gaps' | 'sessions'>,
): PoolSnapshot {
  return {
    ...host,
    maxSessions,
    queued: queued + retrying.length,
    active,
    finished,
    outcomes,
    restarts,
    serverRestarts,
    provider: { limit: provider.limit, heldUntilMs: provider.heldUntilMs, holds: provider.holds },
    error,
  };
}
