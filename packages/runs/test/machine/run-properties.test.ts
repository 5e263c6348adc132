import { expect, test } from 'vitest';
import { foldJournal } from '../../src/machine/index.ts';
import { rowsOf } from '../support/facts.ts';
import { RandomRun } from '../support/random-run.ts';
import { seededRandom } from '../support/random.ts';

const runs = 600;

/** A random run; its seed stands in what it throws. */
function play(seed: number): RandomRun {
  const random = seededRandom(seed);
  const run = new RandomRun(random);
  try {
    run.play(20 + random.below(120));
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  }
  return run;
}

test(`in ${runs} random runs, whose managers are killed at any point, every task comes to one end`, () => {
  const seen = {
    reasons: new Set<string>(),
    outcomes: new Set<string>(),
    codes: new Set<string>(),
    rows: new Set<string>(),
    kills: 0,
    sends: 0,
    parks: 0,
    fallbacks: 0,
  };
  for (let seed = 1; seed <= runs; seed += 1) {
    const { oracle, reasons, kills, sends } = play(seed);
    seen.kills += kills;
    seen.sends += sends;
    for (const reason of reasons) seen.reasons.add(reason);
    for (const row of oracle.rows) {
      seen.rows.add(row.type);
      seen.parks += Number(row.type === 'attempt.intended' && row.continues !== undefined);
      seen.fallbacks += Number(row.type === 'attempt.intended' && row.fallback !== undefined);
      if (row.type === 'attempt.ended') seen.outcomes.add(row.outcome);
      if (row.type === 'attempt.ended' && row.error) seen.codes.add(row.error.code);
    }
    const history = foldJournal(rowsOf(oracle.rows));
    expect(history.endedBecause).toBe('done');
  }
  // What never happens is not tested.
  expect([...seen.reasons].toSorted()).toEqual([
    'aborted',
    'done',
    'drained',
    'fail_fast',
    'failed',
    'max_failures',
    'over_budget',
    'restarts_spent',
    'storage_full',
  ]);
  expect(seen.outcomes).toEqual(
    new Set([
      'succeeded',
      'failed',
      'stalled',
      'timed_out',
      'runaway',
      'quota_exhausted',
      'over_budget',
      'aborted',
      'interrupted',
      'server_lost',
    ]),
  );
  expect([seen.parks > 0, seen.fallbacks > 0]).toEqual([true, true]);
  expect(seen.codes).toContain('POISON_TASK');
  expect(seen.rows).toContain('attempt.superseded');
  for (const type of ['task.skipped', 'task.cancelled', 'task.requeued']) expect(seen.rows).toContain(type);
  expect(seen.kills).toBeGreaterThan(runs);
  expect(seen.sends).toBeGreaterThan(runs);
});
