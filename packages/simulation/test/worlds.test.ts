import { expect, it } from 'vitest';
import { faultKindsOf, protocols } from '../src/index.ts';
import { runCrowd, seedsFrom } from '../src/node/index.ts';

const seeds = 1000;

it.each(protocols)(
  `keeps every promise in ${seeds} worlds of opencode's protocol %s, and each fault happens in one of a hundred`,
  { timeout: 240_000 },
  async (protocol) => {
    const { worlds, failures, different, faults } = await runCrowd({ protocol, seeds: seedsFrom(1, seeds) });
    const shares = faultKindsOf(protocol).map(({ id }) => [id, (100 * (faults[id] ?? 0)) / worlds] as const);
    console.log(shares.map(([id, share]) => `${share.toFixed(1).padStart(5)} %  ${id}`).join('\n'));
    expect(worlds).toBe(seeds);
    expect(failures.slice(0, 10)).toEqual([]);
    expect(different).toEqual([]);
    expect(shares.filter(([, share]) => share < 1)).toEqual([]);
  },
);
