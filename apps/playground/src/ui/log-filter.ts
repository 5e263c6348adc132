import { tagsOf } from '../run/meaning.ts';
import type { RunRecord } from '../trace/format.ts';

export interface LogCriteria {
  /** Anywhere in type, actor or payload, capitals or not. */
  readonly text: string;
  readonly kind: 'all' | 'moves' | 'error' | 'ask' | 'gap';
  readonly actor: string | null;
}

/** Keeps the places of matching records; as a run grows, only what is new is looked at. */
export class LogFilter {
  #criteria: LogCriteria | undefined;
  #first: RunRecord | undefined;
  #seen = 0;
  #matching: number[] = [];

  /** Places of the matching records before `end`, in order. */
  rows(records: readonly RunRecord[], end: number, criteria: LogCriteria): readonly number[] {
    if (!this.#isSame(criteria) || this.#first !== records[0] || this.#seen > records.length) this.#restart(records, criteria);
    for (; this.#seen < Math.max(end, this.#seen) && this.#seen < records.length; this.#seen += 1) {
      if (matches(records[this.#seen]!, criteria)) this.#matching.push(this.#seen);
    }
    return this.#matching.length > 0 && this.#matching.at(-1)! >= end
      ? this.#matching.slice(0, countBelow(this.#matching, end))
      : this.#matching;
  }

  #isSame({ text, kind, actor }: LogCriteria): boolean {
    return this.#criteria?.text === text && this.#criteria.kind === kind && this.#criteria.actor === actor;
  }

  #restart(records: readonly RunRecord[], criteria: LogCriteria): void {
    this.#criteria = criteria;
    this.#first = records[0];
    this.#seen = 0;
    this.#matching = [];
  }
}

function matches(record: RunRecord, { text, kind, actor }: LogCriteria): boolean {
  if (actor !== null && record.actor !== actor) return false;
  if (kind === 'moves' && record.path === undefined) return false;
  if (kind !== 'all' && kind !== 'moves' && !tagsOf(record).includes(kind)) return false;
  if (text === '') return true;
  const wanted = text.toLowerCase();
  return (
    `${record.type} ${record.actor} ${record.path ?? ''}`.toLowerCase().includes(wanted) ||
    (record.payload !== undefined && JSON.stringify(record.payload).toLowerCase().includes(wanted))
  );
}

/** How many of the ascending numbers lie below a bound. */
function countBelow(numbers: readonly number[], bound: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (numbers[middle]! < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}
