import { describe, expect, test } from 'vitest';
import { allowedTurns, countTurn, openGate, pauseProvider, resumeProvider, type ProviderGate } from '../../src/machines/provider-gate.ts';

const limit = (gate: ProviderGate, atMs: number, untilMs: number) => pauseProvider(gate, { atMs, untilMs, isRateLimit: true });
const good = (gate: ProviderGate, times: number) =>
  Array.from({ length: times }).reduce<ProviderGate>((next) => countTurn(next, 'succeeded', 8), gate);

describe('a pause', () => {
  test('holds back every new turn until its end, the latest that was named', () => {
    const gate = limit(limit(openGate(8), 0, 1000), 100, 3000);
    expect(allowedTurns(gate, 8)).toBe(0);
    expect(gate).toMatchObject({ heldUntilMs: 3000, holds: 1 });
    expect(limit(gate, 200, 500).heldUntilMs).toBe(3000);
    expect(allowedTurns(resumeProvider(gate), 8)).toBe(4);
  });

  test('halves the turns at once, however many are refused together, and never below one', () => {
    let gate = openGate(8);
    for (let turn = 0; turn < 8; turn += 1) gate = limit(gate, turn, 1000);
    expect(gate.limit).toBe(4);
    for (let round = 1; round <= 5; round += 1) gate = limit(resumeProvider(gate), round * 2000, round * 2000 + 1000);
    expect(gate).toMatchObject({ limit: 1, holds: 6 });
  });

  test('for another reason than too many requests leaves their number alone', () => {
    expect(pauseProvider(openGate(8), { atMs: 0, untilMs: 1000, isRateLimit: false })).toMatchObject({ limit: 8, heldUntilMs: 1000 });
  });

  test('whose end nobody knows holds nothing back', () => {
    expect(limit(openGate(8), 1000, 0)).toMatchObject({ limit: 4, heldUntilMs: null, holds: 0 });
  });
});

describe('recovery', () => {
  test('is one more turn at once after as many good ones, up to the most', () => {
    const halved = resumeProvider(limit(limit(openGate(8), 0, 1000), 2000, 3000));
    expect(halved.limit).toBe(2);
    expect(good(halved, 1).limit).toBe(2);
    expect(good(halved, 2).limit).toBe(3);
    expect(good(halved, 2 + 3).limit).toBe(4);
    expect(good(halved, 1000).limit).toBe(8);
  });

  test('does not count what failed, nor what ends during a pause', () => {
    const gate = resumeProvider(limit(openGate(2), 0, 1000));
    expect(countTurn(gate, 'failed', 2)).toBe(gate);
    const held = limit(openGate(2), 0, 1000);
    expect(countTurn(held, 'succeeded', 2)).toBe(held);
  });
});
