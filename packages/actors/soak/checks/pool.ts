import type { PoolSnapshot } from '../../src/index.ts';
import type { PoolRecord } from '../record.ts';

/** The pool at rest: it runs, nothing waits in it, each killed server was replaced once, and no event of it was lost. */
export function checkPool(snapshot: PoolSnapshot, record: PoolRecord, kills: number): string[] {
  const { state, queued, active, serverRestarts } = snapshot;
  return [
    ...(state === 'running' && queued === 0 && active === 0 ? [] : [`the pool is ${state} with ${queued} queued and ${active} active`]),
    ...(serverRestarts === kills ? [] : [`${serverRestarts} servers were started in place of ${kills} that were killed`]),
    ...record.brokenSequences.map((sequence) => `the pool's events are not numbered without a gap before ${sequence}`),
  ];
}
