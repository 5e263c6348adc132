import { describe, expect, test } from 'vitest';
import { parseOptions, replayCommand } from '../../soak/options.ts';
import { faultKinds, plannedFaults, plannedTasks, providerFaults, taskKinds, type PlannedFault } from '../../soak/plan.ts';

const tasksOf = (seed: number, count: number) => plannedTasks(seed).take(count).toArray();
const faultsOf = (seed: number, count: number) => plannedFaults(seed).take(count).toArray();
const timesOf = (faults: readonly PlannedFault[], kind: string) => faults.filter((fault) => fault.kind === kind).map(({ atMs }) => atMs);

describe('the plan of a seed', () => {
  test('is the same each time, and another one for another seed', () => {
    expect(tasksOf(7, 50)).toEqual(tasksOf(7, 50));
    expect(faultsOf(7, 50)).toEqual(faultsOf(7, 50));
    expect(tasksOf(7, 50)).not.toEqual(tasksOf(8, 50));
    expect(faultsOf(7, 50)).not.toEqual(faultsOf(8, 50));
  });

  test('does not depend on how much of it is taken', () => {
    expect(tasksOf(7, 50).slice(0, 10)).toEqual(tasksOf(7, 10));
    expect(faultsOf(7, 50).slice(0, 10)).toEqual(faultsOf(7, 10));
  });

  test.each([1, 2, 3, 2 ** 31])('has every kind of task and of fault (seed %i)', (seed) => {
    const tasks = tasksOf(seed, 400);
    expect(new Set(tasks.map(({ kind }) => kind))).toEqual(new Set(taskKinds));
    expect(new Set(tasks.flatMap(({ provider }) => provider?.fault ?? []))).toEqual(new Set(providerFaults));
    expect(new Set(tasks.map(({ id }) => id)).size).toBe(400);
    expect(new Set(faultsOf(seed, 40).map(({ kind }) => kind))).toEqual(new Set(faultKinds));
  });

  test.each([1, 2, 3, 2 ** 31])('strikes in order, and within the budgets of restarts (seed %i)', (seed) => {
    const faults = faultsOf(seed, 1000);
    const times = faults.map(({ atMs }) => atMs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(mostWithinMinute(timesOf(faults, 'server-kill'))).toBeLessThanOrEqual(3);
    expect(mostWithinMinute(timesOf(faults, 'worker-crash'))).toBeLessThanOrEqual(5);
  });
});

function mostWithinMinute(times: readonly number[]): number {
  return Math.max(...times.map((from) => times.filter((atMs) => atMs >= from && atMs < from + 60_000).length));
}

describe('the options', () => {
  test('are taken, and the command that replays them gives the same', () => {
    const options = parseOptions(['--seed', '5', '--concurrency', '3', '--duration', '2m']);
    expect(options).toEqual({ tasks: Infinity, concurrency: 3, seed: 5, durationMs: 120_000 });
    expect(parseOptions(replayCommand(options).split(' ').slice(2))).toEqual(options);
    const counted = parseOptions(['--tasks', '9']);
    expect(parseOptions(replayCommand(counted).split(' ').slice(2))).toEqual(counted);
  });

  test.each([[['--tasks', '0']], [['--seed', 'x']], [['--duration', '5']], [['--tsaks', '5']], [['5']]])('refuses %j', (args) => {
    expect(() => parseOptions(args)).toThrow(/--|tsaks|'5'/);
  });
});
