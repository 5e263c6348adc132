import { OpencodeManagerError } from './error.ts';
import { byNearness } from './nearest.ts';

/**
 * Refuses options that do not exist: a mistyped `timeoutMs` must not run without a deadline.
 * @throws `CONFIG_KEY_UNKNOWN`, `CONFIG_INVALID` for what is no object
 * @example
 * assertKnownNames('prompt', { timeout: 5 }, ['timeoutMs', 'signal']) // Option timeout of prompt does not exist. Did you mean timeoutMs?
 */
export function assertKnownNames(what: string, given: object, names: readonly string[]): void {
  if (typeof given !== 'object' || given === null) {
    const message = `The options of ${what} are ${JSON.stringify(given)}, not an object. Give some of: ${names.join(', ')}. Nothing was sent.`;
    throw new OpencodeManagerError('CONFIG_INVALID', message, { details: { known: names } });
  }
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
