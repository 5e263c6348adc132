import type { TurnError } from '../facts.ts';
import type { WireError } from './wire.ts';

/** By the type that opencode 2 names; all else of a provider is `provider`. */
const kinds: Readonly<Record<string, TurnError['kind']>> = {
  aborted: 'aborted',
  'provider.content-filter': 'filtered',
  'provider.context-overflow': 'overflow',
  'provider.no-route': 'other',
};

/** What kind of error a type stands for. A package that cannot be loaded has no type of its own. */
function kindOf(type: string, message: string): TurnError['kind'] {
  if (message.startsWith('Cannot initialize ')) return 'package';
  const known = kinds[type];
  if (known !== undefined) return known;
  if (/context[ _-](?:length|window|overflow)/i.test(message) && type.startsWith('provider.')) return 'overflow';
  return type.startsWith('provider.') ? 'provider' : 'other';
}

/** opencode's error (`{type, message, status}`) in this project's words. */
export function decodeTurnError({ type = 'unknown', message, status }: WireError): TurnError {
  const text = message === undefined || message === '' ? 'opencode gave no reason' : message;
  return { kind: kindOf(type, text), name: type, message: text, ...(typeof status === 'number' && { statusCode: status }) };
}
