import type { SessionUsage } from '../run/view.ts';
import type { BatchRow, BatchState } from './format.ts';

/** Which rows are shown. */
export interface BatchCriteria {
  /** In the key of the task or its error, capitals or not. */
  readonly text: string;
  readonly state: BatchState | null;
}

/** Tasks by state, and what all of them used. */
export interface BatchTotals {
  readonly total: number;
  readonly states: ReadonlyMap<BatchState, number>;
  readonly tokens: number;
  readonly costUsd: number;
  /** The price of something is not known: the cost is at least so much. */
  readonly isCostPartial: boolean;
}

/** In this order: what is in flight, what waits, what failed, then the rest. */
const groups: Readonly<Record<string, number>> = { running: 1, waiting: 2, not_started: 4, skipped: 5, succeeded: 6 };
const groupOfFailures = 3;

/**
 * The rows in the order in which somebody looks for them: sessions that ask for an answer, what runs longest, what waits, the newest failures;
 * then what has not begun, and the newest of what is done.
 * @param asking Keys of tasks whose sessions wait for an answer
 */
export function ordered(rows: Iterable<BatchRow>, asking: ReadonlySet<string>): BatchRow[] {
  const groupOf = ({ key, state }: BatchRow) => (asking.has(key) ? 0 : (groups[state] ?? groupOfFailures));
  return [...rows].toSorted((a, b) => {
    const group = groupOf(a);
    const apart = group - groupOf(b);
    if (apart !== 0) return apart;
    const [sinceA, sinceB] = [a.sinceMs ?? 0, b.sinceMs ?? 0];
    if (sinceA === sinceB) return a.order - b.order;
    return group < groupOfFailures ? sinceA - sinceB : sinceB - sinceA;
  });
}

export function matching(rows: readonly BatchRow[], { text, state }: BatchCriteria): readonly BatchRow[] {
  if (text === '' && state === null) return rows;
  const wanted = text.toLowerCase();
  const says = ({ key, error }: BatchRow) => `${key} ${error?.code ?? ''} ${error?.message ?? ''}`.toLowerCase().includes(wanted);
  return rows.filter((row) => (state === null || row.state === state) && (wanted === '' || says(row)));
}

export function totalsOf(rows: Iterable<BatchRow>): BatchTotals {
  const states = new Map<BatchState, number>();
  const sums = { total: 0, tokens: 0, costUsd: 0, isCostPartial: false };
  for (const { state, tokens, costUsd } of rows) {
    states.set(state, (states.get(state) ?? 0) + 1);
    sums.total += 1;
    sums.tokens += tokens;
    sums.costUsd += costUsd ?? 0;
    sums.isCostPartial ||= costUsd === null;
  }
  return { ...sums, states };
}

/** The same, with what is known of attempts in flight. */
export function withUsage(totals: BatchTotals, usages: readonly (SessionUsage | undefined)[]): BatchTotals {
  const known = usages.filter((usage) => usage !== undefined);
  return {
    ...totals,
    tokens: known.reduce((sum, { tokens }) => sum + tokens, totals.tokens),
    costUsd: known.reduce((sum, { costUsd }) => sum + (costUsd ?? 0), totals.costUsd),
    isCostPartial: totals.isCostPartial || known.some(({ costUsd }) => costUsd === null),
  };
}
