import { expect, test } from 'vitest';
import { decodeHistory } from '../../src/protocol/v2/history.ts';
import { streamV2 } from '../../src/protocol/v2/stream.ts';
import type { WireMessage } from '../../src/protocol/v2/wire.ts';

const time = { created: 1, completed: 2 };
const user = (id: string): WireMessage => ({ type: 'user', id, text: 'work', time: { created: 1 } });
const begins: WireMessage = {
  type: 'assistant',
  id: 'msg_02',
  finish: 'tool-calls',
  content: [
    { type: 'tool', id: 'call_1', name: 'shell', state: { status: 'completed', metadata: { status: 'running', shellID: 'sh_1' } } },
  ],
  time,
};
const ends = (more: Partial<Extract<WireMessage, { type: 'assistant' }>> = { finish: 'stop' }): WireMessage => ({
  type: 'assistant',
  id: 'msg_03',
  content: [],
  time,
  ...more,
});
const idle: WireMessage = { type: 'idle', id: 'msg_04', outcome: 'failed', time: { created: 3 } };
const error = { type: 'provider.internal', message: 'busy' };

/** Whether the newest answer is shown as the end of its turn. */
const isEnded = (...messages: WireMessage[]): boolean => {
  const newest = decodeHistory(messages, { sessionId: 'ses_1', root: '/work' }).at(-1)!.info;
  return newest.role === 'assistant' && newest.completed;
};

test('an answer is no end of its turn while work in the background is open, though it failed', () => {
  expect(isEnded(user('msg_01'), begins, ends())).toBe(false);
  expect(isEnded(user('msg_01'), begins, ends({ error }), idle)).toBe(false);
});

test('an answer is no end of its turn once it is told what the background has done, which is to be answered', () => {
  const told: WireMessage = { type: 'synthetic', id: 'msg_05', text: 'done', metadata: { shellID: 'sh_1' }, time: { created: 4 } };
  expect(isEnded(user('msg_01'), begins, ends(), idle, told)).toBe(false);
  expect(isEnded(user('msg_01'), begins, ends(), idle, told, idle)).toBe(true);
});

test('what an earlier turn has left in the background, told by nobody, keeps no later turn open', () => {
  expect(isEnded(user('msg_01'), begins, ends(), idle, user('msg_02b'), ends())).toBe(true);
  expect(isEnded(user('msg_01'), begins, ends({}), user('msg_02b'), ends())).toBe(true);
});

test('a prompt that joins a turn leaves open what that has in the background', () => {
  expect(isEnded(user('msg_01'), begins, user('msg_02b'), ends())).toBe(false);
});

test('a failure that opencode would have repeated is no end of its turn', () => {
  expect(isEnded(user('msg_01'), ends({ error }))).toBe(false);
  expect(isEnded(user('msg_01'), ends({ error }), idle)).toBe(true);
});

test('after a gap in which the end of earlier work was told, the end of a later turn is told', () => {
  const reader = streamV2.createReader();
  const read = (type: string, data: object): string[] => {
    const frame = reader.read(JSON.stringify({ id: 'evt_1', type: `session.${type}`, created: 1, data: { sessionID: 'ses_1', ...data } }));
    return frame.kind === 'events' ? frame.events.map((event) => event.type) : [frame.kind];
  };
  const call = { assistantMessageID: 'msg_02', id: 'call_1' };
  read('tool.input.started', { ...call, name: 'shell' });
  read('tool.success', { ...call, metadata: { status: 'running', shellID: 'sh_1' } });
  expect(read('execution.succeeded', {})).toEqual(['other']);
  read('execution.started', {});
  read('inbox.enqueued', { inboxID: 'msg_05', item: { type: 'user', payload: { text: 'more' } } });
  read('inbox.delivered', { inboxID: 'msg_05' });
  expect(read('execution.succeeded', {})).toEqual(['session.idle']);
});
