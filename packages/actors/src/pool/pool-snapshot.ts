import type { PoolContext } from '../machines/index.ts';
import type { ServerKeeper } from '../recovery/index.ts';
import type { PoolSnapshot } from './types.ts';

/** What the pool shows of itself: its actor's memory, and what its host knows beside it. */
export function poolSnapshotOf(
  { maxSessions, queued, retrying, active, finished, outcomes, restarts, serverRestarts, provider, error }: PoolContext,
  host: Pick<PoolSnapshot, 'state' | 'sessions'>,
  { state, context, gaps }: Pick<ServerKeeper, 'state' | 'context' | 'gaps'>,
): PoolSnapshot {
  const { generation, rotations, retiring, rssBytes } = context;
  return {
    ...host,
    gaps,
    maxSessions,
    queued: queued + retrying.length,
    active,
    finished,
    outcomes,
    restarts,
    serverRestarts,
    server: { state: state as PoolSnapshot['server']['state'], generation, rotations, retiring, rssBytes },
    provider: { limit: provider.limit, heldUntilMs: provider.heldUntilMs, holds: provider.holds },
    error,
  };
}
