import { OpencodeManagerError } from '@opencode-manager/core/errors';
import type { RunProvider } from './types.ts';

/** @throws `PROVIDER_UNKNOWN` for one that no task of the run asks */
export function refuseProvider(id: string, known: readonly RunProvider[]): void {
  if (known.some((provider) => provider.id === id)) return;
  const names = known.map((provider) => provider.id);
  const list = names.length > 0 ? `It asks: ${names.join(', ')}.` : 'It asks none.';
  throw new OpencodeManagerError('PROVIDER_UNKNOWN', `No task of the run asks a provider ${id}. ${list} Nothing was changed.`, {
    details: { provider: id, known: names },
  });
}
