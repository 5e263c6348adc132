import type { PartFacts } from '@opencode-manager/core/protocol';
import { describe, expect, test } from 'vitest';
import { CallCycles } from '../../src/session/call-cycles.ts';
import { seededRandom } from '../support/random.ts';

type ToolFacts = Extract<PartFacts, { type: 'tool' }>;

let calls = 0;
const call = (of: Partial<ToolFacts> = {}): ToolFacts => {
  calls += 1;
  const common = { id: `prt_${calls}`, messageId: 'msg_11', type: 'tool', tool: 'bash', status: 'completed' } as const;
  return { ...common, input: { command: 'ls' }, output: 'a', ...of };
};

/** What the newest calls repeat, by looking at all of them; of two periods with as many repetitions the shorter counts. */
function bruteForce(names: readonly string[]): { repetitions: number; period: number } {
  let best = { repetitions: names.length > 0 ? 1 : 0, period: 1 };
  for (let period = 1; period <= 8; period += 1) {
    let equal = 0;
    while (equal + period < names.length && names.at(-1 - equal) === names.at(-1 - equal - period)) equal += 1;
    const repetitions = Math.floor(equal / period) + 1;
    if (repetitions > best.repetitions) best = { repetitions, period };
  }
  return best;
}

function longestOf(names: readonly string[]) {
  const cycles = new CallCycles();
  for (const name of names) cycles.add(call({ input: { command: name }, output: `ran ${name}` }));
  return cycles.longest;
}

test.each([1, 2, 3, 4, 5, 6, 7, 8])('a cycle of %i calls is seen ten times', (period) => {
  const cycle = Array.from({ length: period }, (_, index) => `call ${index}`);
  const names = ['before', 'other', ...Array.from({ length: 10 }, () => cycle).flat()];
  expect(longestOf(names)).toEqual({ repetitions: 10, period });
  expect(longestOf(names.slice(0, -1)).repetitions).toBe(9);
  expect(longestOf([...names, 'another'])).toEqual({ repetitions: 1, period: 1 });
});

test('without a call there is none', () => {
  expect(longestOf([])).toEqual({ repetitions: 0, period: 1 });
});

test('a cycle of nine calls is none', () => {
  const cycle = Array.from({ length: 9 }, (_, index) => `call ${index}`);
  expect(longestOf(Array.from({ length: 20 }, () => cycle).flat()).repetitions).toBe(1);
});

test('is what looking at all calls says, after each call of 1,000 random sequences', () => {
  for (let seed = 1; seed <= 1000; seed += 1) {
    const random = seededRandom(seed);
    const names: string[] = [];
    const cycles = new CallCycles();
    const length = 1 + random.below(60);
    while (names.length < length) {
      // Now and then a stretch is repeated, otherwise chance would make no cycles.
      const period = 1 + random.below(9);
      const stretch = random.chance(0.3) && names.length >= period ? names.slice(-period) : [`call ${random.below(3)}`];
      for (const name of stretch) {
        names.push(name);
        cycles.add(call({ input: { command: name } }));
        const { longest } = cycles;
        const truth = bruteForce(names);
        if (longest.repetitions !== truth.repetitions || longest.period !== truth.period)
          expect(longest, `seed ${seed}: ${names.join(', ')}`).toEqual(truth);
      }
    }
  }
});

describe('two calls are the same', () => {
  const repetitionsOf = (...of: Partial<ToolFacts>[]) => {
    const cycles = new CallCycles();
    for (const part of of) cycles.add(call(part));
    return cycles.longest.repetitions;
  };

  test('when tool, input and result are equal', () => {
    expect(repetitionsOf({}, {}, {})).toBe(3);
  });

  test.each<{ what: string; change: Partial<ToolFacts> }>([
    { what: 'another result: polling', change: { output: 'b' } },
    { what: 'another input', change: { input: { command: 'pwd' } } },
    { what: 'another tool', change: { tool: 'read' } },
    { what: 'a failure', change: { status: 'failed' } },
    { what: 'a result with two letters exchanged', change: { output: 'ba' } },
  ])('not with $what', ({ change }) => {
    expect(repetitionsOf(change.output === 'ba' ? { output: 'ab' } : {}, change)).toBe(1);
  });

  test('polling with results that change is no cycle, however long it goes on', () => {
    expect(repetitionsOf(...Array.from({ length: 100 }, (_, index) => ({ output: `still running: ${index} s` })))).toBe(1);
  });
});

test('a call counts once, when it has its result, however often it is told', () => {
  const cycles = new CallCycles();
  const part = call();
  for (const status of ['pending', 'running', 'completed', 'completed'] as const) cycles.add({ ...part, status });
  expect(cycles.longest).toEqual({ repetitions: 1, period: 1 });
  cycles.add({ ...call(), status: 'running' });
  expect(cycles.longest.repetitions).toBe(1);
});
