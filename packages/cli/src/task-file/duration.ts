import { OpencodeManagerError } from '@opencode-manager/core/errors';

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const shape = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/;

/** Longest delay a timer can keep; a longer one would fire at once. */
const longestMs = 2 ** 31 - 1;

/**
 * Milliseconds of a duration such as `500ms`, `90s`, `5m` or `1h30m`.
 * @throws OpencodeManagerError `USAGE` naming what was received
 */
export function parseDuration(text: string, option: string): number {
  const trimmed = text.trim();
  if (!shape.test(trimmed)) throw invalid(option, text, 'write a number with a unit, for example 500ms, 90s, 5m or 1h30m');
  let total = 0;
  for (const [, amount, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) total += Number(amount) * unitMs[unit!]!;
  if (total < 1) throw invalid(option, text, 'it must be longer than nothing');
  if (total > longestMs) throw invalid(option, text, 'the longest is 596h');
  return Math.round(total);
}

function invalid(option: string, text: string, advice: string): OpencodeManagerError {
  return new OpencodeManagerError('USAGE', `${option}: ${JSON.stringify(text)} is not a usable duration; ${advice}.`, {
    details: { option },
  });
}
