import { OpencodeManagerError } from './error.ts';
import { byNearness } from './nearest.ts';

/**
 * Refuses options that do not exist: a mistyped `timeoutMs` must not run without a deadline.
 * @throws `CONFIG_KEY_UNKNOWN`
 * @example
 * assertKnownNames('prompt', { timeout: 5 }, ['timeoutMs', 'signal']) // Option timeout of prompt does not exist. Did you mean timeoutMs?
 */
export function assertKnownNames(what: string, given: object, names: readonly string[]): void {
  for (const option of Object.keys(given)) {
    if (names.includes(option)) continue;
    const [nearest] = byNearness(option, names);
    throw new OpencodeManagerError(
      'CONFIG_KEY_UNKNOWN',
      `Option ${option} of ${what} does not exist. Did you mean ${nearest}? There is: ${names.join(', ')}. Nothing was sent.`,
      { details: { option, nearest, known: names } },
    );
  }
}
