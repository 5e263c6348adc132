import { expect, test } from 'vitest';
import { decodeBatch, encodeBatch } from '../src/worker/batch-text.ts';
import type { BatchedEvent } from '../src/worker/coalesce.ts';
import { delta, idle, partUpdated } from './support/events.ts';
import { seededRandom } from './support/random.ts';

const batched = (event: object) => ({ sequence: 0, ...event }) as BatchedEvent;

test('a batch comes back as it was, whatever its deltas share', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = seededRandom(seed);
    const one = () => {
      const session = `ses_${random.below(3)}`;
      const part = `prt_${random.below(3)}`;
      const field = random.pick(['text', 'reasoning']);
      const text = random.pick(['', 'word', '"', '\n']);
      const event = random.pick([delta(session, part, text, field), partUpdated(session, part, text, 4), idle(session)]);
      const { sessionId: _, ...withoutSession } = event;
      return batched(random.pick([event, { ...event, directory: `/srv/${random.below(2)}` }, { ...withoutSession, directory: '/srv/0' }]));
    };
    const events = Array.from({ length: random.below(40) }, one);
    expect(decodeBatch(encodeBatch(events)), `seed ${seed}`).toEqual(events);
  }
});

test('the deltas of one part are written without what they share', () => {
  const events = Array.from({ length: 100 }, () => batched({ ...delta('ses_1', 'prt_1', ' word'), directory: '/srv/repository' }));
  expect(encodeBatch(events).length).toBeLessThan(JSON.stringify(events).length / 3);
});
