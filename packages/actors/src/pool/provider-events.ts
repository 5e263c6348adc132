import type { poolMachine, ProviderGates } from '../machines/index.ts';
import type { SnapshotFrom } from 'xstate';
import { providerSnapshot } from './pool-snapshot.ts';
import type { PoolEvents } from './pool-events.ts';
import type { PoolActor } from './tell.ts';

/** Tells of each change of what a provider allows. That a turn of it begins or ends is none. */
export function tellProviders(actor: PoolActor, events: PoolEvents): void {
  let told: ProviderGates = [];
  const look = ({ context: { providers } }: SnapshotFrom<typeof poolMachine>): void => {
    if (providers === told) return;
    const before = told;
    told = providers;
    for (const gate of providers) {
      const known = before.find(({ id }) => id === gate.id);
      if (known?.limit === gate.limit && known.heldUntilMs === gate.heldUntilMs) continue;
      events.emit({ type: 'provider.changed', provider: providerSnapshot(gate) });
    }
  };
  actor.subscribe({ next: look, error: () => {} });
}
