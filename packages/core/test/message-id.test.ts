import { expect, test } from 'vitest';
import { createMessageIds } from '../src/turn/index.ts';

test('ids have the shape of the server and sort in the order in which they were made', () => {
  const ids = createMessageIds({ now: () => 1_795_352_532_815, random: () => 0 });
  const made = Array.from({ length: 50 }, () => ids.next());
  expect(made[0]).toMatch(/^msg_[0-9a-f]{12}[0-9A-Za-z]{14}$/);
  expect(made.toSorted()).toEqual(made);
  expect(new Set(made).size).toBe(50);
});
