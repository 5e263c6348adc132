import { isSealed, protocolNamed, type ServerEvent } from '@opencode-manager/core/protocol';
import { describe, expect, test } from 'vitest';
import { decodeBatch, encodeBatch, type BatchedEvent } from '../src/worker/batch-text.ts';
import { Ledger } from '../src/worker/ledger.ts';
import type { ResumePoint } from '../src/worker/messages.ts';
import { assembleParts, delta, eventId, idle, partUpdated } from './support/events.ts';
import { seededRandom } from './support/random.ts';

/** A ledger, and what it passed on. */
function open(resume: ResumePoint = { cursors: [], baselineId: eventId() }) {
  const passed: ServerEvent[] = [];
  const ledger = new Ledger(resume, { event: (event) => void passed.push(event as ServerEvent), lateSequence: () => undefined });
  const admit = (...events: readonly ServerEvent[]) => {
    for (const event of events) ledger.event(event);
  };
  /** A gap: the history is read while the new connection brings its first events. */
  const merge = (history: readonly ServerEvent[], live: readonly ServerEvent[]) => {
    const before = passed.length;
    ledger.hold();
    admit(...live);
    const replayed = ledger.release(history);
    return { events: passed.slice(before), replayed };
  };
  return { ledger, passed, admit, merge };
}

const update = (session: string, sequence: number) => partUpdated(session, `p${sequence}`, '', sequence);

describe('a replay', () => {
  test('takes the history up to the first live event of the session, then the live ones', () => {
    const { ledger, merge } = open();
    const [a0, a1] = [partUpdated('a', 'p', '', 0), partUpdated('a', 'p', 'one', 1)];
    const [d, a2, end] = [delta('a', 'p2', 'x'), partUpdated('a', 'p2', 'x', 2), idle('a')];
    expect(merge([a0, a1, a2], [d, a2, end])).toEqual({ events: [a0, a1, d, a2, end], replayed: 2 });
    expect(ledger.named()).toEqual({ a: 2 });
  });

  test('leaves out what was passed on before', () => {
    const { passed, admit, merge } = open();
    const [a0, a1, a2] = [update('a', 0), update('a', 1), update('a', 2)];
    admit(a0, a1, a1);
    expect(passed).toEqual([a0, a1]);
    expect(merge([a1, a2], [a2])).toEqual({ events: [a2], replayed: 0 });
  });

  test('leaves out the past of sessions that are older than the monitor, and does not ask for it again', () => {
    const old = [Object.assign(update('old', 0), { directory: '/work' }), update('old', 1), update('quiet', 0)];
    const { ledger, merge } = open();
    const news = update('old', 2);
    expect(merge([...old, news], [])).toEqual({ events: [{ ...news, directory: '/work' }], replayed: 1 });
    expect(ledger.named()).toEqual({ old: 2, quiet: 0 });
  });

  test('replays across sessions in order of time, and each session in order of its numbers', () => {
    const { merge } = open();
    const [b0, a0, b1, a1] = [update('b', 0), update('a', 0), update('b', 1), update('a', 1)];
    expect(merge([a0, a1, b0, b1], []).events).toEqual([b0, a0, b1, a1]);
    const swapped = [update('c', 1), update('c', 0)];
    expect(merge(swapped, []).events.map((event) => event.durableSequence)).toEqual([0, 1]);
  });

  test('what the history brings gets the directory of its session', () => {
    const { admit, merge } = open();
    admit({ ...update('a', 0), directory: '/work' });
    const { events } = merge([update('a', 1), update('b', 0)], []);
    expect(events.map(({ sessionId, directory }) => [sessionId, directory])).toEqual([
      ['a', '/work'],
      ['b', undefined],
    ]);
  });

  test('a delta that is older than the replayed state of its part is left out, a younger one is not', () => {
    const { passed, admit, merge } = open();
    const stale = delta('a', 'p', 'in the state already');
    const state = partUpdated('a', 'p', 'in the state already', 0);
    const [fresh, last] = [delta('a', 'p', ', new'), delta('a', 'p', '!')];
    merge([state], [stale, fresh]);
    admit(last);
    expect(passed).toEqual([state, fresh, last]);
  });

  test('900 sessions can be named, sessions of before our time with them; with one more nothing is known of any', () => {
    const past = Array.from({ length: 100 }, (_, index) => update(`past${index}`, 0));
    const { ledger, admit, merge } = open();
    merge(past, []);
    for (let session = 0; session < 900; session++) admit(update(`s${session}`, 7));
    expect(ledger.cursors.complete).toBe(true);
    expect(ledger.named()).toEqual(Object.fromEntries(Array.from({ length: 900 }, (_, index) => [`s${index}`, 7])));
    admit(update('one more', 0));
    expect([ledger.cursors.complete, ledger.cursors.entries]).toEqual([false, null]);
  });

  test.each(Array.from({ length: 300 }, (_, index) => index + 1))(
    'any cut of any stream gives every stored event once and the right text (seed %i)',
    (seed) => {
      const random = seededRandom(seed);
      const baselineId = eventId();
      const story = tellStory(random);
      const lost = random.below(story.length);
      const back = lost + random.below(story.length - lost);
      // The history was read at some moment after the new connection began.
      const readAt = back + random.below(story.length - back + 1);
      const arrivedUntil = back + random.below(story.length - back + 1);
      const first = open({ cursors: [], baselineId });
      first.admit(...story.slice(0, lost));
      // Every other time the thread is lost with the connection, and another one goes on.
      const { ledger, merge, admit, passed } = seed % 2 === 0 ? first : open({ cursors: first.ledger.cursors.entries, baselineId });
      const after = ledger.named();
      const history = story
        .slice(0, readAt)
        .filter((event) => event.durableSequence !== undefined && event.durableSequence > (after[event.sessionId!] ?? -1));
      merge(history, story.slice(back, arrivedUntil));
      admit(...story.slice(arrivedUntil));

      const all = passed === first.passed ? passed : [...first.passed, ...passed];
      const stored = (events: readonly ServerEvent[], session: string) =>
        events.filter((event) => event.sessionId === session && event.durableSequence !== undefined).map((event) => event.id);
      for (const session of ['a', 'b', 'c']) expect(stored(all, session)).toEqual(stored(story, session));
      expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
      const texts = assembleParts(all);
      for (const [part, text] of finishedParts(story)) expect(texts.get(part)).toBe(text);
    },
  );
});

/** Turns of three sessions, interleaved: a part begins, grows by deltas, and is stored whole at its end. */
function tellStory(random: ReturnType<typeof seededRandom>): ServerEvent[] {
  const story: ServerEvent[] = [];
  const sessions = ['a', 'b', 'c'].map((id) => ({ id, sequence: 0, part: 0, text: '', openPart: false }));
  for (let step = 0; step < 150; step++) {
    const session = random.pick(sessions);
    const part = `${session.id}${session.part}`;
    if (!session.openPart) {
      story.push(partUpdated(session.id, part, '', session.sequence++));
      Object.assign(session, { openPart: true, text: '' });
    } else if (random.below(5) > 0) {
      session.text += `${step};`;
      story.push(delta(session.id, part, `${step};`));
    } else {
      story.push(partUpdated(session.id, part, session.text, session.sequence++), idle(session.id));
      Object.assign(session, { openPart: false, part: session.part + 1 });
    }
  }
  return story;
}

function finishedParts(story: readonly ServerEvent[]): Map<string, string> {
  const finished = new Map<string, string>();
  for (const event of story) {
    if (event.type === 'part.updated' && event.data.part.type === 'text' && event.data.part.text !== '')
      finished.set(event.data.part.id, event.data.part.text);
  }
  return finished;
}

test('a replayed event crosses to the main thread with its record once, and says there what it said', () => {
  const { stream } = protocolNamed('v1');
  const output = 'printed '.repeat(1000);
  const state = { status: 'completed', input: {}, output, title: '', metadata: {}, time: { start: 1, end: 2 } };
  const part = { id: 'prt_1', sessionID: 'ses_1', messageID: 'msg_1', type: 'tool', tool: 'bash', callID: 'call_1', state };
  const time = { created: 1, updated: 1 };
  const stored = [
    { type: 'session.created.1', data: { sessionID: 'ses_1', info: { id: 'ses_1', title: 'one', directory: '/work', time } } },
    { type: 'message.updated.1', data: { sessionID: 'ses_1', info: { id: 'msg_1', sessionID: 'ses_1', role: 'user', time } } },
    { type: 'message.part.updated.1', data: { sessionID: 'ses_1', part } },
    { type: 'message.removed.1', data: { sessionID: 'ses_1', messageID: 'msg_1' } },
  ];
  const history = stored.map((entry, seq) => stream.replay!.decode({ ...entry, id: eventId(), aggregate_id: 'ses_1', seq }));
  const passed: BatchedEvent[] = [];
  const receiver = { event: (event: object) => void passed.push({ ...event, sequence: 0 } as BatchedEvent), lateSequence: () => undefined };
  const ledger = new Ledger({ cursors: [], baselineId: '' }, receiver, stream.replay!.seal);
  ledger.hold();
  ledger.release(history);
  const batch = encodeBatch(passed);
  expect(batch.heads.length + batch.bodies.length).toBeLessThan(output.length * 1.5);
  const opened = decodeBatch(batch, stream).map((event) => (isSealed(event) ? stream.open(event) : event.data));
  expect(passed.map(isSealed)).toEqual([true, true, true, false]);
  expect(opened).toEqual(history.map(({ data }) => data));
  expect(passed.map(({ id, durableSequence }) => [id, durableSequence])).toEqual(
    history.map(({ id, durableSequence }) => [id, durableSequence]),
  );
});
