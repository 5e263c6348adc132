import { getSystemErrorMap } from 'node:util';
import type { Loss } from './outlet.ts';

/** Labels that are listed; the rest is counted. */
const listedLabels = 20;

/** The reader has gone: nobody misses what it did not take. */
export function isClosed({ why }: Loss): boolean {
  return ['EPIPE', 'ECONNRESET', 'ERR_STREAM_DESTROYED', 'ERR_STREAM_WRITE_AFTER_END'].includes(why);
}

/** `standard output: 3 lines were not written (ENOSPC: no space left on device), the results of a, b among them.` */
export function describeLoss(output: string, { lines, labels, why }: Loss, idleMs: number): string {
  const what = lines === 0 ? 'what was written may not be on the disk' : `${lines} ${lines === 1 ? 'line was' : 'lines were'} not written`;
  const listed = labels.slice(0, listedLabels).join(', ');
  const more = labels.length > listedLabels ? ` and ${labels.length - listedLabels} more` : '';
  const results = labels.length === 0 ? '' : `; not written: the results of ${listed}${more}`;
  return `${output}: ${what} (${reasonOf(why, idleMs)})${results}.`;
}

/** A system's error code with its meaning: `ENOSPC: no space left on device`. */
export function describeCode(code: string): string {
  const [, message] = [...getSystemErrorMap().values()].find(([name]) => name === code) ?? [];
  return message === undefined ? code : `${code}: ${message}`;
}

function reasonOf(why: string, idleMs: number): string {
  if (why === 'signal') return 'a signal ended the wait for its reader';
  if (why === 'idle') return `its reader took nothing for ${idleMs < 60_000 ? `${idleMs / 1000} s` : `${idleMs / 60_000} minutes`}`;
  return describeCode(why);
}
