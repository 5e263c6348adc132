import { protocolNamed } from '@opencode-manager/core/protocol';
import { expect, test } from 'vitest';
import { decodeBatch, encodeBatch, type BatchedEvent, type BatchText } from '../src/worker/batch-text.ts';
import { sealed, delta, idle, partUpdated } from './support/events.ts';
import { seededRandom } from './support/random.ts';

const protocol = protocolNamed('v1').stream;

const batched = (event: object) => ({ sequence: 0, ...event }) as BatchedEvent;
const lengthOf = ({ heads, bodies }: BatchText) => heads.length + bodies.length;

test('a batch comes back as it was, whatever its events share', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = seededRandom(seed);
    const one = () => {
      const session = `ses_${random.below(3)}`;
      const part = `prt_${random.below(3)}`;
      const field = random.pick(['text', 'reasoning']);
      const text = random.pick(['', 'word', '"', '\n']);
      const event = random.pick([
        delta(session, part, text, field),
        partUpdated(session, part, text, 4),
        idle(session),
        sealed(session, text, random.pick([undefined, 7])),
      ]);
      if ('wireType' in event) return batched(random.pick([event, { ...event, directory: '/srv/1' }]));
      const { sessionId: _, ...withoutSession } = event;
      return batched(random.pick([event, { ...event, directory: `/srv/${random.below(2)}` }, { ...withoutSession, directory: '/srv/0' }]));
    };
    const events = Array.from({ length: random.below(40) }, one);
    expect(decodeBatch(encodeBatch(events), protocol), `seed ${seed}`).toEqual(events);
  }
});

test('the deltas of one part are written without what they share', () => {
  const events = Array.from({ length: 100 }, () => batched({ ...delta('ses_1', 'prt_1', ' word'), directory: '/srv/repository' }));
  expect(lengthOf(encodeBatch(events))).toBeLessThan(JSON.stringify(events).length / 3);
});
