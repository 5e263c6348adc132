import { expect, test } from 'vitest';
import { decodeHistory } from '../../src/protocol/v2/history.ts';
import { untoldEnd } from '../../src/protocol/v2/server-log.ts';
import { endsWith, entryOf } from '../../src/protocol/v2/untold-end.ts';
import type { WireAssistant, WireMessage } from '../../src/protocol/v2/wire.ts';
import { processV2 } from '../../src/protocol/v2/process.ts';
import { createUntoldEnds } from '../../src/server/untold-ends.ts';

/** As opencode 2.0.15 prints it on a full disk. */
const lineOf = (sessionId: string, message = 'Failed to publish Session execution lifecycle') =>
  `timestamp=2026-11-29T03:45:14.717Z level=ERROR run=36ddeee4 message="${message}" cause="effect/sql/SqlError: Failed to execute statement\\n    at <anonymous> (/x.js:7:1) {\\n  [cause]: SQLiteError: database or disk is full\\n}" role=server sessionID=${sessionId}`;
const atMs = Date.parse('2026-11-29T03:45:14.717Z');
const end = { sessionId: 'ses_1', atMs, cause: 'Failed to execute statement' };

const prompt: WireMessage = { type: 'user', id: 'msg_1', text: 'hello', time: { created: atMs - 10 } };
const call = { type: 'tool', id: 'call_1', name: 'shell', state: { status: 'running', input: { command: 'ls' } } } as const;
const answer = (rest: Partial<WireAssistant> = {}): WireAssistant => ({
  type: 'assistant',
  id: 'msg_2',
  content: [call],
  time: { created: atMs - 5 },
  ...rest,
});
const completed = { created: atMs - 5, completed: atMs - 1 };

test('the log tells whose turn ended, when and why; other records of it tell no end', () => {
  expect(untoldEnd(lineOf('ses_1'))).toEqual(end);
  expect(untoldEnd(lineOf('ses_1', 'Failed to drain Session'))).toBeUndefined();
  expect(untoldEnd('message="Failed to publish Session execution lifecycle"')).toBeUndefined();
});

test.each<[string, boolean, readonly WireMessage[]]>([
  ['nothing followed the prompt', true, [prompt]],
  ['the answer has not ended', true, [prompt, answer()]],
  ['a step ended, and another was to follow', true, [prompt, answer({ finish: 'tool-calls', time: completed })]],
  ['the model was chosen anew since', true, [prompt, answer(), { type: 'model-switched', id: 'msg_3', time: { created: atMs + 5 } }]],
  ['the answer ended', false, [prompt, answer({ finish: 'stop', time: completed })]],
  ['its end was stored', false, [prompt, answer(), { type: 'idle', id: 'msg_3', outcome: 'failed', time: { created: atMs } }]],
  ['a later prompt has begun', false, [prompt, answer(), { type: 'user', id: 'msg_3', text: 'more', time: { created: atMs + 5 } }]],
])('whether it is the end of the newest turn: %s', (_what, is, messages) => {
  expect(endsWith(end, messages)).toBe(is);
});

test('the history tells such an end as that of a turn that failed, and keeps what it holds', () => {
  const lastOf = (messages: readonly WireMessage[]) =>
    decodeHistory([...messages, entryOf(end, messages)], { sessionId: 'ses_1', root: '/work', cause: end.cause }).slice(1);
  const failed = {
    completed: true,
    completedAtMs: atMs,
    parentId: 'msg_1',
    error: { message: 'Failed to execute statement', kind: 'other' },
  };
  expect(lastOf([prompt])).toMatchObject([{ info: { id: 'msg_1:end', ...failed } }]);
  expect(lastOf([prompt, answer()])).toMatchObject([{ info: { id: 'msg_2', ...failed }, parts: [{ type: 'step' }, { type: 'tool' }] }]);
  const step = answer({ finish: 'tool-calls', time: completed });
  expect(lastOf([prompt, step])).toMatchObject([{ info: { id: 'msg_2', finish: 'tool-calls' } }, { info: { id: 'msg_2:end', ...failed } }]);
});

test('ends are read from lines as they come in pieces, and the newest of each session is kept, secrets taken out', () => {
  const redactor = { text: (text: string) => text.replaceAll('statement', '[redacted]') };
  const ends = createUntoldEnds(processV2, redactor as Parameters<typeof createUntoldEnds>[1]);
  const heard: string[] = [];
  const stop = ends.listen((sessionId) => heard.push(sessionId));
  const text = `server listening\n${lineOf('ses_1')}\n${lineOf('ses_2')}\n`;
  for (let at = 0; at < text.length; at += 97) ends.push(text.slice(at, at + 97));
  expect(heard).toEqual(['ses_1', 'ses_2']);
  expect(ends.of('ses_1')).toEqual({ ...end, cause: 'Failed to execute [redacted]' });
  stop();
  for (let one = 3; one < 1010; one += 1) ends.push(`${lineOf(`ses_${one}`)}\n`);
  expect(heard).toHaveLength(2);
  expect([ends.of('ses_1'), ends.of('ses_9'), ends.of('ses_1009')]).toEqual([undefined, undefined, expect.anything()]);
});
