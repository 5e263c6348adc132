import type { Run, RunProvider } from '@opencode-manager/runs';
import type { Handlers, ProviderView } from '../manager-socket/index.ts';
import type { RunDesk } from './run-desk.ts';

/** What clients may ask for and wish of the providers of a run. With one that is unknown nothing is changed. */
export function createProviderHandlers(desk: RunDesk): Pick<Handlers, 'providers' | 'pauseProviders' | 'resumeProviders'> {
  return {
    providers: async ({ run }) => (await desk.get(run)).run.providers().map(providerView),
    async pauseProviders({ run: id, providers }) {
      const { run } = await desk.get(id);
      return change(run, providers, { isDone: ({ isPaused }) => isPaused, carryOut: (provider) => run.pauseProvider(provider) });
    },
    async resumeProviders({ run: id, providers }) {
      const { run } = await desk.get(id);
      const isDone = ({ isPaused, heldUntilMs }: RunProvider) => !isPaused && heldUntilMs === null;
      return change(run, providers, { isDone, carryOut: (provider) => run.resumeProvider(provider) });
    },
  };
}

interface Change {
  readonly isDone: (provider: RunProvider) => boolean;
  readonly carryOut: (id: string) => void;
}

function change(run: Run, ids: readonly string[], { isDone, carryOut }: Change) {
  const known = run.providers();
  const wanted = [...new Set(ids)].map((id) => ({ id, provider: known.find((one) => one.id === id) }));
  // What is unknown is told first.
  for (const { id, provider } of wanted) if (!provider) carryOut(id);
  return wanted.map(({ id, provider }) => {
    const changed = !isDone(provider!);
    if (changed) carryOut(id);
    return { provider: id, changed };
  });
}

function providerView({ id, limit, heldUntilMs, isPaused, running, waiting }: RunProvider): ProviderView {
  return {
    id,
    limit,
    held_until: heldUntilMs === null ? null : new Date(heldUntilMs).toISOString(),
    is_paused: isPaused,
    running,
    waiting,
  };
}
