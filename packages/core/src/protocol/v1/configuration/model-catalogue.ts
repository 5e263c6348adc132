import { cataloguedProviders } from './catalogued-providers.ts';

/**
 * Whether a server can use the catalogue of models that its binary carries: opencode looks a provider up there by its id, and
 * has use for enabled ones alone. Building it costs over a second and 200 MB at the first use, and most of what each
 * further directory takes (docs/decisions/0011). Of a version that was not looked at, nothing is known.
 */
export function needsModelCatalogue(providers: readonly string[], version: string): boolean {
  return version !== cataloguedProviders.version || providers.some((provider) => cataloguedProviders.ids.includes(provider));
}
