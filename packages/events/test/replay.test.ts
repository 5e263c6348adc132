import type { ServerEvent } from '@opencode-manager/core/protocol';
import { describe, expect, test, vi } from 'vitest';
import { Ledger } from '../src/worker/ledger.ts';
import { mergeReplay } from '../src/worker/replay.ts';
import { assembleParts, delta, eventId, idle, partUpdated } from './support/events.ts';
import { seededRandom } from './support/random.ts';

function merge(ledger: Ledger, history: readonly ServerEvent[], live: readonly ServerEvent[]) {
  const events: ServerEvent[] = [];
  const replayed = mergeReplay(history, live, ledger, (event) => events.push(event as ServerEvent));
  return { events, replayed };
}

const beginning = () => new Ledger({ sequences: [], directories: [], baselineId: eventId() });

describe('mergeReplay', () => {
  test('takes the history up to the first live event of the session, then the live ones', () => {
    const ledger = beginning();
    const [a0, a1] = [partUpdated('a', 'p', '', 0), partUpdated('a', 'p', 'one', 1)];
    const [d, a2, end] = [delta('a', 'p2', 'x'), partUpdated('a', 'p2', 'x', 2), idle('a')];
    const { events, replayed } = merge(ledger, [a0, a1, a2], [d, a2, end]);
    expect(events).toEqual([a0, a1, d, a2, end]);
    expect(replayed).toBe(2);
    expect(ledger.sequences.get('a')).toBe(2);
  });

  test('leaves out what was passed on before', () => {
    const ledger = beginning();
    const [a0, a1, a2] = [partUpdated('a', 'p', '', 0), partUpdated('a', 'p', '1', 1), partUpdated('a', 'p', '2', 2)];
    expect([ledger.admit(a0), ledger.admit(a1), ledger.admit(a1)]).toEqual([true, true, false]);
    expect(merge(ledger, [a1, a2], [a2])).toEqual({ events: [a2], replayed: 0 });
  });

  test('leaves out the past of sessions that are older than the monitor, and does not ask for it again', () => {
    const old = [partUpdated('old', 'p', '', 0), partUpdated('old', 'p', 'before', 1)];
    const ledger = beginning();
    const news = partUpdated('old', 'p', 'after', 2);
    expect(merge(ledger, [...old, news], [])).toEqual({ events: [news], replayed: 1 });
    expect(ledger.sequences.get('old')).toBe(2);
  });

  test('replays across sessions in order of time, and each session in order of its numbers', () => {
    const ledger = beginning();
    const [b0, a0, b1, a1] = [
      partUpdated('b', 'p', '', 0),
      partUpdated('a', 'p', '', 0),
      partUpdated('b', 'p', '', 1),
      partUpdated('a', 'p', '', 1),
    ];
    expect(merge(ledger, [a0, a1, b0, b1], []).events).toEqual([b0, a0, b1, a1]);
    const late = beginning();
    const swapped = [partUpdated('a', 'p', '', 1), partUpdated('a', 'p', '', 0)] as const;
    expect(merge(late, swapped, []).events.map((event) => event.durableSequence)).toEqual([0, 1]);
  });

  test('what the history brings gets the directory of its session', () => {
    const ledger = beginning();
    ledger.admit({ ...partUpdated('a', 'p', '', 0), directory: '/work' });
    const { events } = merge(ledger, [partUpdated('a', 'p', 'x', 1), partUpdated('b', 'p', 'x', 0)], []);
    expect(events.map(({ sessionId, directory }) => [sessionId, directory])).toEqual([
      ['a', '/work'],
      ['b', undefined],
    ]);
  });

  test('a delta that is older than the replayed state of its part is left out, a younger one is not', () => {
    const ledger = beginning();
    const stale = delta('a', 'p', 'in the state already');
    const state = partUpdated('a', 'p', 'in the state already', 0);
    const fresh = delta('a', 'p', ', new');
    expect(merge(ledger, [state], [stale, fresh]).events).toEqual([state, fresh]);
    expect(ledger.admit(delta('a', 'p', '!'))).toBe(true);
  });

  test('a session that was forgotten comes from its start, and what was passed on of it is left out', () => {
    const forgotten: string[] = [];
    const ledger = new Ledger(
      { sequences: [], directories: [], baselineId: eventId() },
      { limit: 4, generationMs: 0, onForgotten: (sessionId) => forgotten.push(sessionId) },
    );
    const first = ['a', 'b', 'c', 'd', 'e', 'f'].map((session) => Object.assign(partUpdated(session, 'p', '', 0), { directory: '/work' }));
    for (const event of first) ledger.admit(event);
    expect(forgotten).toEqual(['a', 'b']);
    expect([...ledger.sequences, ...ledger.directories].map(([session]) => session)).toEqual(['c', 'd', 'e', 'f', 'c', 'd', 'e', 'f']);
    const news = [partUpdated('a', 'p', 'x', 1), partUpdated('c', 'p', 'x', 1), partUpdated('g', 'p', '', 0)];
    expect(merge(ledger, [first[0]!, first[1]!, ...news], []).events.map(({ sessionId }) => sessionId)).toEqual(['a', 'c', 'g']);
  });

  test('a thread that goes on for a lost one leaves out what the lost one had forgotten', () => {
    const lost = new Ledger({ sequences: [], directories: [], baselineId: eventId() }, { limit: 4, generationMs: 0 });
    const first = ['a', 'b', 'c', 'd', 'e', 'f'].map((session) => partUpdated(session, 'p', '', 0));
    for (const event of first) lost.admit(event);
    const { baselineId, sequences } = lost;
    const ledger = new Ledger(
      { sequences: [...sequences], directories: [], baselineId, reach: sequences.reach },
      { limit: 4, generationMs: 0 },
    );
    const news = [partUpdated('b', 'p', 'x', 1), partUpdated('f', 'p', 'x', 1)];
    expect(merge(ledger, [first[0]!, first[1]!, ...news], []).events).toEqual(news);
    expect(ledger.sequences.reach.forgottenSessions).toBeGreaterThan(1);
  });

  test('names no more sessions than one request for the history may, those that came last', () => {
    const ledger = beginning();
    for (let session = 0; session < 3000; session++) ledger.admit({ ...partUpdated(`s${session}`, 'p', '', 0), directory: '/work' });
    const named = ledger.sequences.named().map(([session]) => session);
    expect(named).toEqual(Array.from({ length: 900 }, (_, index) => `s${2100 + index}`));
    expect(ledger.sequences.unnamed).toBe(2100);
  });

  test('forgets sessions that did nothing for some seconds, beyond those that can be named', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const ledger = beginning();
    for (let session = 0; session < 30_000; session++) {
      ledger.admit({ ...partUpdated(`s${session}`, 'p', '', 0), directory: '/work' });
      vi.advanceTimersByTime(1);
    }
    vi.useRealTimers();
    // Two generations of 2 s each, with a session a millisecond.
    expect(Math.max(ledger.sequences.size, ledger.directories.size)).toBeLessThanOrEqual(4001);
    expect(ledger.sequences.unnamed).toBe(30_000 - 900);
  });

  test('forgets what cannot be named when nothing was stored between two heartbeats', () => {
    const forgotten: string[] = [];
    const ledger = new Ledger(
      { sequences: [], directories: [], baselineId: eventId() },
      { limit: 2, generationMs: Infinity, onForgotten: (sessionId) => forgotten.push(sessionId) },
    );
    const first = ['a', 'b', 'c', 'd'].map((session) => partUpdated(session, 'p', '', 0));
    for (const event of first) ledger.admit(event);
    ledger.sequences.settle();
    expect(forgotten, 'forgotten of sessions that have just worked').toEqual([]);
    ledger.sequences.settle();
    expect(forgotten).toEqual(['a', 'b']);
    expect(ledger.sequences.named()).toEqual([
      ['c', 0],
      ['d', 0],
    ]);
    expect(ledger.sequences.unnamed).toBe(2);
    const news = [partUpdated('a', 'p', 'x', 1), partUpdated('d', 'p', 'x', 1), partUpdated('e', 'p', '', 0)];
    expect(merge(ledger, [first[0]!, first[1]!, ...news], []).events).toEqual(news);
  });

  const memories = [
    { limit: 900, generationMs: 0, remembered: 'all' },
    { limit: 2, generationMs: 0, remembered: 'two' },
    { limit: 2, generationMs: Infinity, remembered: 'all, two named' },
  ];
  test.each(Array.from({ length: 300 }, (_, index) => ({ seed: index + 1, ...memories[index % 3]! })))(
    'any cut of any stream gives every stored event once and the right text (seed $seed, sessions remembered: $remembered)',
    ({ seed, limit, generationMs }) => {
      const random = seededRandom(seed);
      const ledger = new Ledger({ sequences: [], directories: [], baselineId: eventId() }, { limit, generationMs });
      const story = tellStory(random);
      const lost = random.below(story.length);
      const back = lost + random.below(story.length - lost);
      // The history was read at some moment after the new connection began.
      const readAt = back + random.below(story.length - back + 1);
      const passed: ServerEvent[] = [];
      const restAt = random.below(lost + 1);
      for (const event of story.slice(0, restAt)) if (ledger.admit(event)) passed.push(event);
      settle(ledger);
      for (const event of story.slice(restAt, lost)) if (ledger.admit(event)) passed.push(event);
      const after = new Map(ledger.sequences.named());
      const history = story
        .slice(0, readAt)
        .filter((event) => event.durableSequence !== undefined && event.durableSequence > (after.get(event.sessionId!) ?? -1));
      const arrivedUntil = back + random.below(story.length - back + 1);
      mergeReplay(history, story.slice(back, arrivedUntil), ledger, (event) => passed.push(event as ServerEvent));
      for (const event of story.slice(arrivedUntil)) if (ledger.admit(event)) passed.push(event);

      const stored = (events: readonly ServerEvent[], session: string) =>
        events.filter((event) => event.sessionId === session && event.durableSequence !== undefined).map((event) => event.id);
      for (const session of ['a', 'b', 'c']) expect(stored(passed, session)).toEqual(stored(story, session));
      expect(new Set(passed.map(({ id }) => id)).size).toBe(passed.length);
      const finished = finishedParts(story);
      const texts = assembleParts(passed);
      for (const [part, text] of finished) expect(texts.get(part)).toBe(text);
    },
  );
});

/** Two heartbeats without an event in between. */
function settle({ sequences }: Ledger): void {
  sequences.settle();
  sequences.settle();
}

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
