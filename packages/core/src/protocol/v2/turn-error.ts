import type { ProviderRetry, TurnError } from '../facts.ts';
import { readResetTime } from './plugins/reset-time.ts';
import type { WireError, WireRetry } from './wire.ts';

/** By the type that opencode 2 names; all else of a provider is `provider`. */
const kinds: Readonly<Record<string, TurnError['kind']>> = {
  aborted: 'aborted',
  'provider.content-filter': 'filtered',
  'provider.context-overflow': 'overflow',
  'provider.no-route': 'other',
};

/** What npm and the loader of modules say of a package that is not there; what else keeps a provider from its begin lies in its options. */
const packageFailure =
  /Not Found - GET|request to \S+ failed|cache mode is|not installed|No matching version|Cannot find (?:module|package)|\bE[A-Z]{4,}\b/;

/** What kind of error a type stands for. A package that cannot be loaded has no type of its own. */
function kindOf(type: string, message: string): TurnError['kind'] {
  if (message.startsWith('Cannot initialize ') && packageFailure.test(message)) return 'package';
  const known = kinds[type];
  if (known !== undefined) return known;
  if (/context[ _-](?:length|window|overflow)/i.test(message) && type.startsWith('provider.')) return 'overflow';
  return type.startsWith('provider.') ? 'provider' : 'other';
}

/** opencode's error (`{type, message, status}`) in this project's words. */
export function decodeTurnError({ type = 'unknown', message, status }: WireError): TurnError {
  const { message: said, resetAtMs } = readResetTime(message ?? '');
  const text = said === '' ? 'opencode gave no reason' : said;
  return {
    kind: kindOf(type, text),
    name: type,
    message: text,
    ...(typeof status === 'number' && { statusCode: status }),
    ...(resetAtMs !== undefined && { resetAtMs }),
  };
}

/** A wait for the provider. opencode looks again after a quarter of an hour at the latest; the time that the provider named counts. */
export function decodeRetry(raw: WireRetry): ProviderRetry & { readonly raw: unknown } {
  const { attempt, at, error } = raw;
  const { message, resetAtMs = at } = readResetTime(error?.message ?? '');
  return { attempt: attempt - 1, message, nextAtMs: Math.max(at, resetAtMs), raw };
}
