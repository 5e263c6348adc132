import { describe, expect, test } from 'vitest';
import { decodeHistory, summaryOf } from '../../src/protocol/v2/history.ts';
import type { WireAssistant, WireMessage } from '../../src/protocol/v2/wire.ts';

const place = { sessionId: 'ses_1', root: '/work' };
const prompt = (id: string, text = 'hello'): WireMessage => ({ type: 'user', id, text, time: { created: 1 } });
const idle = (id: string, outcome: 'succeeded' | 'failed' | 'interrupted'): WireMessage => ({
  type: 'idle',
  id,
  outcome,
  time: { created: 9 },
});
const answer = (id: string, text: string, rest: Partial<WireAssistant> = {}): WireAssistant => ({
  type: 'assistant',
  id,
  content: [{ type: 'text', text }],
  finish: 'stop',
  time: { created: 2, completed: 3 },
  ...rest,
});

/** Who says what, whether it is over, and what it answers. */
const told = (messages: readonly WireMessage[], more: { readonly cause?: string } = {}) =>
  decodeHistory(messages, { ...place, ...more }).map(({ info, parts }) =>
    info.role === 'user'
      ? `${info.id}: user`
      : `${info.id}: ${info.completed ? 'over' : 'open'}, of ${info.parentId}, ${info.error?.message ?? info.finish ?? 'no finish'}, ${parts.map(({ type }) => type).join(' ')}`,
  );

test('each answer is of the user message before it, one for each step; what opencode says of its own is no message', () => {
  const call = { type: 'tool', id: 'call_1', name: 'shell', state: { status: 'completed', input: { command: 'ls' } } } as const;
  const history: WireMessage[] = [
    prompt('msg_1'),
    { type: 'system', id: 'msg_2' },
    answer('msg_3', 'Look.', { content: [call], finish: 'tool-calls' }),
    answer('msg_4', 'Seen.'),
    idle('msg_5', 'succeeded'),
    { type: 'model-switched', id: 'msg_6' },
    prompt('msg_7'),
    answer('msg_8', 'Again.'),
    idle('msg_9', 'succeeded'),
  ];
  expect(told(history)).toEqual([
    'msg_1: user',
    'msg_3: over, of msg_1, tool-calls, step tool step_end',
    'msg_4: over, of msg_1, stop, step text step_end',
    'msg_7: user',
    'msg_8: over, of msg_7, stop, step text step_end',
  ]);
});

test('an answer that broke off is gone on with in the next message of its turn, and in no other', () => {
  const failed = { finish: 'error', error: { type: 'provider.transport', message: 'gone' } } as const;
  const broken = { ...failed, retry: { attempt: 2, at: 5 } } as const;
  const continued = (messages: readonly WireMessage[]) =>
    decodeHistory(messages, place).flatMap(({ info }) => (info.role === 'assistant' ? [info.continues] : []));
  const goOn: WireMessage = { type: 'synthetic', id: 'msg_3', text: 'Continue.' };
  expect(continued([prompt('msg_1'), answer('msg_2', 'Hel', broken), goOn, answer('msg_4', 'lo.')])).toEqual([undefined, 'msg_2']);
  expect(
    continued([prompt('msg_1'), answer('msg_2', 'Hel', broken), idle('msg_3', 'failed'), prompt('msg_4'), answer('msg_5', 'lo.')]),
  ).toEqual([undefined, undefined]);
  expect(continued([prompt('msg_1'), answer('msg_2', 'Hel', failed), answer('msg_4', 'lo.')])).toEqual([undefined, undefined]);
});

test('an answer whose question was dismissed is over, though no entry tells it; one that was broken off may go on', () => {
  const aborted = { finish: 'error', error: { type: 'aborted', message: 'Step interrupted' } } as const;
  const asked = (message: string): WireAssistant =>
    answer('msg_2', '', {
      ...aborted,
      content: [{ type: 'tool', id: 'call_1', name: 'question', state: { status: 'error', error: { type: 'aborted', message } } }],
    });
  expect(told([prompt('msg_1'), asked('The user dismissed this question')])[1]).toBe(
    'msg_2: over, of msg_1, tool-calls, step tool step_end',
  );
  expect(told([prompt('msg_1'), asked('Tool execution aborted')])[1]).toContain('msg_2: open, of msg_1, Step interrupted');
});

describe('a shell line', () => {
  const line = { type: 'shell', id: 'msg_1', command: 'exit 3', time: { created: 1, completed: 2 } } as const;
  const callOf = (raw: WireMessage) => decodeHistory([raw], place)[1]!.parts[0];

  test('is a turn of its own, with its output and exit code', () => {
    const raw: WireMessage = { ...line, status: 'exited', exit: 3, output: { output: 'said\n' } };
    expect(told([raw])).toEqual(['msg_1: user', 'msg_1:answer: over, of msg_1, no finish, tool']);
    expect(callOf(raw)).toMatchObject({ status: 'completed', output: 'said\n', exitCode: 3, input: { command: 'exit 3' } });
  });

  test('that was killed has no exit code; one that runs is not over', () => {
    expect(callOf({ ...line, status: 'killed', output: {} })).toMatchObject({ status: 'completed', exitCode: null });
    const running = { ...line, status: 'running', time: { created: 1 } };
    expect(told([running])[1]).toContain('open');
    expect(callOf(running)).toMatchObject({ status: 'running' });
  });
});

describe('a summary', () => {
  const summary = { type: 'compaction', id: 'msg_3', reason: 'manual', time: { created: 4 } } as const;
  const before = [prompt('msg_1'), answer('msg_2', 'Hi.'), idle('msg_2b', 'succeeded')];

  test('that was made is a request and its answer', () => {
    const [, , request, made] = decodeHistory([...before, { ...summary, status: 'completed', summary: '## Objective' }], place);
    expect(request).toMatchObject({ info: { role: 'user', id: 'msg_3' }, parts: [{ type: 'compaction' }] });
    expect(made).toMatchObject({ info: { parentId: 'msg_3', summary: true, finish: 'stop' }, parts: [{ text: '## Objective' }] });
  });

  test('that is being made is a request; one that failed is left out, and can be told by itself', () => {
    expect(told([...before, { ...summary, status: 'running' }])).toHaveLength(3);
    const failed = { ...summary, status: 'failed', error: { type: 'provider.auth', message: 'bad key', status: 401 } } as const;
    expect(told([...before, failed, idle('msg_4', 'succeeded')])).toEqual(told(before));
    expect(summaryOf(failed, 'ses_1').info).toMatchObject({ completed: true, error: { message: 'bad key', statusCode: 401 } });
  });

  test('that is interrupted says nothing of the turn before it', () => {
    const failed = { ...summary, status: 'failed', error: { type: 'aborted', message: 'Step interrupted' } } as const;
    expect(told([...before, failed, idle('msg_4', 'interrupted')])).toEqual(told(before));
  });

  test('that failed in a turn is why that ended without an answer', () => {
    const failed = { ...summary, reason: 'auto', status: 'failed', error: { type: 'compaction.failed', message: 'no template' } } as const;
    expect(told([prompt('msg_1'), failed, idle('msg_4', 'failed')])[1]).toBe('msg_4: over, of msg_1, no template, ');
    // The next turn has reasons of its own.
    const next = [prompt('msg_5'), idle('msg_6', 'failed')];
    expect(told([prompt('msg_1'), failed, idle('msg_4', 'failed'), ...next], { cause: 'no such model' }).at(-1)).toContain('no such model');
  });
});

describe('a turn that ends without an answer', () => {
  test('has one that says why, as far as that is known', () => {
    const turn = [prompt('msg_1'), idle('msg_2', 'failed')];
    expect(told(turn, { cause: 'Model unavailable: a/b' })).toEqual(['msg_1: user', 'msg_2: over, of msg_1, Model unavailable: a/b, ']);
    expect(told(turn)[1]).toContain('keeps no reason');
    expect(told([prompt('msg_1'), idle('msg_2', 'interrupted')])[1]).toContain('was interrupted');
  });

  test('ends the answer that broke off, though a shell line was run beside it', () => {
    const { finish: _, ...begun } = answer('msg_2', 'Half', { time: { created: 2 } });
    const line: WireMessage = { type: 'shell', id: 'msg_3', command: 'ls', status: 'exited', exit: 0, time: { created: 3, completed: 4 } };
    const turn = [prompt('msg_1'), begun, line, idle('msg_4', 'interrupted')];
    expect(told([prompt('msg_1'), begun])[1]).toContain('msg_2: open');
    expect(told(turn)).toEqual([
      'msg_1: user',
      'msg_2: over, of msg_1, The turn was interrupted., step text',
      'msg_3: user',
      'msg_3:answer: over, of msg_3, no finish, tool',
    ]);
  });

  test('is not made of an answer that is there', () => {
    const turn = [prompt('msg_1'), answer('msg_2', 'Hi.'), idle('msg_3', 'interrupted')];
    expect(told(turn)).toEqual(['msg_1: user', 'msg_2: over, of msg_1, stop, step text step_end']);
  });
});

describe('work in the background', () => {
  const begin = (metadata: object): WireMessage =>
    answer('msg_2', '', {
      content: [
        { type: 'tool', id: 'call_1', name: 'shell', state: { status: 'completed', metadata: { status: 'running', ...metadata } } },
      ],
      finish: 'tool-calls',
    });
  const over = (metadata: Record<string, unknown>): WireMessage => ({ type: 'synthetic', id: 'msg_5', text: 'done', metadata });

  test.each([
    ['a shell', { shellID: 'sh_1' }, { source: 'shell', shellID: 'sh_1' }],
    ['a sub-agent', { sessionID: 'ses_2' }, { source: 'subagent', childID: 'ses_2' }],
  ])('%s keeps the turn open until its end is told', (_, metadata, end) => {
    const open = [prompt('msg_1'), begin(metadata), answer('msg_3', 'Started.'), idle('msg_4', 'succeeded')];
    expect(told(open).at(-1)).toContain('msg_3: open, of msg_1');
    expect(told([...open, over({ source: 'shell', shellID: 'sh_other' })]).at(-1)).toContain('open');
    // Whoever kills the server, or interrupts the turn, ends the work: nobody tells that.
    const next = [...open, prompt('msg_8'), answer('msg_9', 'Next.')];
    expect(told(next).slice(-3)).toEqual([
      'msg_3: over, of msg_1, stop, step text step_end',
      'msg_8: user',
      'msg_9: over, of msg_8, stop, step text step_end',
    ]);
    // An abort ends it before its end is told, or before that is answered.
    const aborted = ['msg_3: over, of msg_1, stop, step text step_end', 'msg_7: over, of msg_1, The turn was interrupted., '];
    expect(told([...open, idle('msg_7', 'interrupted')]).slice(-2)).toEqual(aborted);
    expect(told([...open, over(end), idle('msg_7', 'interrupted')]).slice(-2)).toEqual(aborted);
    // opencode answers its end: until then the turn has the first answer alone.
    expect(told([...open, over(end), answer('msg_6', 'All done.'), idle('msg_7', 'succeeded')]).slice(1)).toEqual([
      'msg_2: over, of msg_1, tool-calls, step tool step_end',
      'msg_3: over, of msg_1, stop, step text step_end',
      'msg_6: over, of msg_1, stop, step text step_end',
    ]);
  });
});
