import { expect, it } from 'vitest';
import { runCrowd, seedsFrom } from '../src/node/index.ts';
import { tryMutants } from '../src/node/crowd.ts';
import { allRunMutants, namedRunMutants } from '../src/node/run-mutants.ts';

it('leads 20 runs to the same end when their manager is killed, at each position of the journal', { timeout: 240_000 }, async () => {
  const { worlds, failures } = await runCrowd({ worlds: 'positions', seeds: seedsFrom(1, 20) });
  expect(worlds).toBe(20);
  expect(failures).toEqual([]);
});

it('keeps every promise in 20 runs in rough weather, and finds every fault that is put in', { timeout: 240_000 }, async () => {
  const seeds = seedsFrom(1, 20);
  const { worlds, failures, different } = await runCrowd({ worlds: 'runs', seeds });
  expect([worlds, failures, different]).toEqual([20, [], []]);
  const survivors: string[] = [];
  const mutants = allRunMutants()
    .slice(0, namedRunMutants)
    // So many more, at most: one is enough for each.
    .map(({ name }, number) => ({ name, number, seeds: seedsFrom(1, 120) }));
  await tryMutants(mutants, { worlds: 'runs' }, (index, failure) => {
    if (!failure) survivors.push(mutants[index]!.name);
  });
  expect(survivors).toEqual([]);
});
