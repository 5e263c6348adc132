import { tightest, type PoolContext, type ProviderGate } from '../machines/index.ts';
import type { ServerSupervisor } from '../supervision/index.ts';
import type { PoolSnapshot, ProviderSnapshot } from './types.ts';

/** What the pool shows of itself: what its machine knows, and that of its servers. */
export function poolSnapshotOf(
  context: PoolContext,
  host: Pick<PoolSnapshot, 'state' | 'sessions'>,
  { state, context: server, gaps }: Pick<ServerSupervisor, 'state' | 'context' | 'gaps'>,
): PoolSnapshot {
  const { maxSessions, queued, retrying, active, finished, outcomes, restarts, providers, infrastructure, error } = context;
  const { generation, rotations, retiring, rssBytes, restarts: serverRestarts } = server;
  // What comes up in the place of a lost server, or beside one, is the same to who looks from outside.
  const serverState = (state === 'succeeding' ? 'restarting' : state) as PoolSnapshot['server']['state'];
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
    server: { state: serverState, generation, rotations, retiring, rssBytes },
    provider: providerSnapshot(tightest(providers, maxSessions)),
    providers: providers.map(providerSnapshot),
    infrastructure: { heldUntilMs: infrastructure.heldUntilMs, holds: infrastructure.holds },
    error,
  };
}

/** What is told of a gate. */
export function providerSnapshot({ id, limit, heldUntilMs, holds }: ProviderGate): ProviderSnapshot {
  return { id, limit, heldUntilMs, holds };
}
