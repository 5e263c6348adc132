import { cataloguedProviders } from './catalogued-providers.ts';

/**
 * Whether a server needs the catalogue of models that its binary carries. Building it costs opencode over a second and 200 MB
 * at the first use and 60 MB for each further directory (docs/decisions/0011), and an entry of it is used only for a provider
 * that it names. Of another version than the one that was looked at, nothing is known.
 */
export function needsModelCatalogue(providers: readonly string[], version: string): boolean {
  const { ids, version: known } = cataloguedProviders;
  return version !== known || providers.length === 0 || providers.some((provider) => ids.includes(provider));
}
