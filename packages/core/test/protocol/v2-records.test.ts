import { describe, expect, test } from 'vitest';
import type { ServerEvent } from '../../src/protocol/index.ts';
import { streamV2 } from '../../src/protocol/v2/stream.ts';

/** What a connection says of one session, a record after the other. */
function openReader() {
  const reader = streamV2.createReader();
  let records = 0;
  return {
    raw: (data: string) => reader.read(data),
    /** The events of ours that one record of opencode's tells. */
    say(type: string, data: object | null = {}, more: object = {}): readonly ServerEvent[] {
      records += 1;
      const about = data === null ? null : { sessionID: 'ses_1', ...data };
      const frame = reader.read(JSON.stringify({ id: `evt_${records}`, created: records, type, data: about, ...more }));
      if (frame.kind !== 'events') throw new Error(`the record was read as ${frame.kind}`);
      return frame.events as readonly ServerEvent[];
    },
  };
}

const types = (events: readonly ServerEvent[]) => events.map(({ type }) => type);
/** The message that one of the events tells. */
const messageOf = (events: readonly ServerEvent[]) =>
  events.flatMap((event) => (event.type === 'message.updated' ? [event.data.message] : [])).at(-1);

const step = { assistantMessageID: 'msg_2', agent: 'build', model: { id: 'm', providerID: 'p' } };
const prompt = { inboxID: 'msg_1', item: { type: 'prompt', payload: { text: 'hello' } } };

/** Until the model is asked. */
function openTurn() {
  const reader = openReader();
  reader.say('session.inbox.enqueued', prompt);
  expect(types(reader.say('session.execution.started'))).toEqual(['session.status']);
  expect(types(reader.say('session.inbox.delivered', { inboxID: 'msg_1' }))).toEqual(['message.updated', 'part.updated']);
  expect(messageOf(reader.say('session.step.started', step))).toMatchObject({ id: 'msg_2', parentId: 'msg_1', completed: false });
  return reader;
}

describe('a record that cannot be read', () => {
  test.each(['', '{', 'null', '[]', '5', '{"id":"evt_1"}', '{"type":5}'])('is told as malformed, and the next one is read: %s', (text) => {
    const reader = openReader();
    expect(reader.raw(text)).toEqual({ kind: 'malformed', reason: expect.any(String) as string });
    expect(types(reader.say('session.execution.started'))).toEqual(['session.status']);
  });

  test('of a known type and another form is passed on, and so is one without data or of an unknown type', () => {
    const reader = openTurn();
    expect(types(reader.say('permission.asked', { resources: 5, metadata: null }))).toEqual(['other']);
    expect(types(reader.say('session.step.ended', null))).toEqual(['other']);
    expect(types(reader.say('session.invented', { some: 'thing' }))).toEqual(['other']);
    expect(types(reader.say('toString'))).toEqual(['other']);
  });

  test.each(['session.execution.failed', 'session.execution.interrupted', 'session.execution.succeeded'])(
    'still ends the turn when it is %s',
    (type) => {
      const reader = openTurn();
      expect(types(reader.say(type, { error: { type: 7, message: {} }, reason: {} })).at(-1)).toBe('session.idle');
      // The session is idle for what follows, too: a shell line is told busy and idle.
      const shell = { id: 'sh_1', status: 'running', command: 'ls' };
      expect(types(reader.say('session.shell.started', { shell }))[0]).toBe('session.status');
    },
  );
});

test('a stored event has its number; of several events of one record the first has it, and each an id of its own', () => {
  const reader = openReader();
  const durable = { aggregateID: 'ses_1', seq: 7 };
  const events = reader.say('session.execution.failed', { error: { type: 'provider.auth', message: 'bad key', status: 401 } }, { durable });
  expect(events.map(({ type, id, durableSequence }) => [type, id, durableSequence])).toEqual([
    ['session.error', 'evt_1', 7],
    ['session.idle', 'evt_1.1', undefined],
  ]);
});

test.each([
  [
    'package',
    "Cannot initialize demo/one: request to http://127.0.0.1:1/demo failed: cache mode is 'only-if-cached' but no cached response is available.",
  ],
  ['package', 'Cannot initialize absent/one: 404 Not Found - GET http://127.0.0.1:1/absent'],
  ['other', 'Cannot initialize vertex/one: Google Vertex Messages does not support API keys'],
  ['other', 'Model unavailable: a/b'],
])('an error without a type of its own is of the kind %s: %s', (kind, message) => {
  const [error] = openReader().say('session.execution.failed', { error: { type: 'unknown', message } });
  expect(error).toMatchObject({ type: 'session.error', data: { error: { kind, message } } });
});

describe('a stream that is followed from the middle of a message', () => {
  test('tells its end, answering nothing that is known; texts and calls as far as they are said', () => {
    const reader = openReader();
    expect(reader.say('session.text.delta', { assistantMessageID: 'msg_2', ordinal: 1, delta: 'half' })).toMatchObject([
      { type: 'part.delta', data: { messageId: 'msg_2', delta: 'half' } },
    ]);
    // The name of the tool was told before.
    expect(types(reader.say('session.tool.success', { assistantMessageID: 'msg_2', id: 'call_1', content: [] }))).toEqual(['other']);
    const ended = reader.say('session.step.ended', { assistantMessageID: 'msg_2', finish: 'stop', cost: 0.5 });
    expect(messageOf(ended)).toMatchObject({ id: 'msg_2', parentId: 'msg_2', completed: true, finish: 'stop', costUsd: 0.5 });
    expect(types(reader.say('session.execution.succeeded'))).toEqual(['session.idle']);
    // The next turn is whole again.
    reader.say('session.inbox.enqueued', { ...prompt, inboxID: 'msg_5' });
    reader.say('session.execution.started');
    reader.say('session.inbox.delivered', { inboxID: 'msg_5' });
    expect(messageOf(reader.say('session.step.started', { ...step, assistantMessageID: 'msg_6' }))).toMatchObject({ parentId: 'msg_5' });
  });
});

describe('work in the background', () => {
  const call = { assistantMessageID: 'msg_2', id: 'call_1' };
  const beginWork = () => {
    const reader = openTurn();
    reader.say('session.tool.input.started', { ...call, name: 'shell' });
    reader.say('session.tool.success', { ...call, content: [], metadata: { shellID: 'sh_1', status: 'running' } });
    return reader;
  };

  test('of a turn that is interrupted, or followed by another one, holds back no end', () => {
    expect(types(beginWork().say('session.execution.interrupted', { reason: 'user' }))).toEqual(['session.error', 'session.idle']);
    const reader = beginWork();
    expect(types(reader.say('session.execution.succeeded'))).toEqual(['other']);
    reader.say('session.inbox.enqueued', { ...prompt, inboxID: 'msg_5' });
    reader.say('session.execution.started');
    reader.say('session.inbox.delivered', { inboxID: 'msg_5' });
    expect(types(reader.say('session.execution.succeeded'))).toEqual(['session.idle']);
  });

  test('holds the end of the turn back until its end is told and answered', () => {
    const reader = beginWork();
    expect(messageOf(reader.say('session.step.ended', { ...call, finish: 'tool-calls' }))).toMatchObject({ completed: true });
    reader.say('session.step.started', { ...step, assistantMessageID: 'msg_3' });
    const said = reader.say('session.step.ended', { assistantMessageID: 'msg_3', finish: 'stop' });
    expect(messageOf(said)).toMatchObject({ id: 'msg_3', completed: false });
    expect(types(reader.say('session.execution.succeeded'))).toEqual(['other']);

    const end = { type: 'synthetic', payload: { text: 'done', metadata: { source: 'shell', shellID: 'sh_1' } } };
    reader.say('session.inbox.enqueued', { inboxID: 'msg_4', item: end });
    reader.say('session.execution.started');
    expect(messageOf(reader.say('session.inbox.delivered', { inboxID: 'msg_4' }))).toMatchObject({ id: 'msg_3', completed: true });
    reader.say('session.step.started', { ...step, assistantMessageID: 'msg_5' });
    const last = reader.say('session.step.ended', { assistantMessageID: 'msg_5', finish: 'stop' });
    expect(messageOf(last)).toMatchObject({ id: 'msg_5', parentId: 'msg_1', completed: true });
    expect(types(reader.say('session.execution.succeeded'))).toEqual(['session.idle']);
  });
});
