import { OpencodeManagerError } from './error.ts';
import { assertKnownNames } from './known-options.ts';

const callOptionNames = ['timeoutMs', 'signal'];

/**
 * Refuses what is no deadline and no signal: a call with a mistyped one must not run without it.
 * @throws `CONFIG_INVALID`, `CONFIG_KEY_UNKNOWN`
 * @example
 * assertCallOptions('The abort', { timeoutMs: '5' }) // The abort: timeoutMs: "5" is not a number of milliseconds. ...
 */
export function assertCallOptions(what: string, options: unknown): void {
  if (options === undefined) return;
  assertKnownNames('a call', options as object, callOptionNames);
  const { timeoutMs, signal } = options as { readonly timeoutMs?: unknown; readonly signal?: unknown };
  if (timeoutMs !== undefined && (typeof timeoutMs !== 'number' || Number.isNaN(timeoutMs))) {
    throw invalid(what, 'timeoutMs', timeoutMs, 'a number of milliseconds. Give a number, or leave it out');
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw invalid(what, 'signal', signal, 'an AbortSignal. Give the signal of an AbortController, or leave it out');
  }
}

function invalid(what: string, field: string, value: unknown, wanted: string): OpencodeManagerError {
  const given =
    typeof value === 'object' && value !== null ? 'an object' : typeof value === 'string' ? JSON.stringify(value) : String(value);
  return new OpencodeManagerError('CONFIG_INVALID', `${what}: ${field}: ${given} is not ${wanted}. Nothing was sent.`, {
    details: { field },
  });
}
