import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { partFacts, type AssistantMessageFacts, type PartFacts, type ToolPart } from '@opencode-manager/core/protocol';
import { describe, expect, test } from 'vitest';
import { TurnObserver } from '../../src/session/turn-observer.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function assistant(id: string, change: Partial<AssistantMessageFacts> = {}): AssistantMessageFacts {
  return {
    id,
    sessionId: 'ses_root',
    role: 'assistant',
    parentId: 'msg_10',
    completed: true,
    model: 'scripted/model',
    providerId: 'scripted',
    costUsd: 0,
    tokens: { input: 10, output: 1, reasoning: 0, cacheRead: 2, cacheWrite: 3 },
    ...change,
  };
}

const text = (messageId: string, content: string, end?: number): PartFacts => ({
  id: `prt_${messageId}`,
  messageId,
  type: 'text',
  text: content,
  ended: end !== undefined,
});

const bash = (messageId: string, id: string, command: string, status: 'running' | 'completed' = 'completed'): PartFacts => ({
  id,
  messageId,
  type: 'tool',
  tool: 'bash',
  status,
  input: { command },
  output: status === 'running' ? '' : `ran ${command}`,
});

const observe = (kind: 'prompt' | 'shell' = 'prompt') => new TurnObserver({ messageId: 'msg_10', kind });

describe('what belongs to the turn', () => {
  test('what a try said that broke off is no part of the answer, in whatever order its parts come again', () => {
    const stepStart = (id: string): PartFacts => ({ id, messageId: 'msg_11', type: 'step' });
    const said = (id: string, content: string) => ({ ...text('msg_11', content, 2), id });
    const parts = [stepStart('prt_1'), said('prt_2', 'Half an'), stepStart('prt_3'), said('prt_4', 'The answer.')];
    const observer = observe();
    observer.message(assistant('msg_11', { finish: 'stop' }), true);
    for (const part of parts.concat(parts)) observer.part(part);
    expect(observer.summary().output).toBe('The answer.');
    observer.part(stepStart('prt_5'));
    expect(observer.message(assistant('msg_11', { finish: 'stop' }), true).finalised).toMatchObject({ hasText: false });
  });

  test('an answer to an earlier message does not; one to a later message of opencode itself does', () => {
    const observer = observe();
    expect(observer.message(assistant('msg_06', { parentId: 'msg_05', finish: 'stop' }), true)).toEqual({});
    // After a compaction opencode goes on under a user message of its own.
    expect(observer.message(assistant('msg_13', { parentId: 'msg_12', finish: 'stop' }), true)).toEqual({
      finalised: { id: 'msg_13', parentId: 'msg_12', finish: 'stop', hasText: false, hasToolResult: false },
    });
  });

  test("sub-agents count in tokens, cost and tools, and say nothing about the root's answer", () => {
    const observer = observe();
    observer.message(assistant('msg_11', { finish: 'stop', costUsd: 0.5 }), true);
    expect(observer.message(assistant('msg_99', { parentId: 'msg_98', finish: 'stop', costUsd: 0.25 }), false)).toEqual({});
    observer.part(bash('msg_99', 'prt_1', 'ls'));
    observer.part(text('msg_11', 'root', 2));
    observer.part(text('msg_99', 'child', 2));
    expect(observer.summary()).toEqual({
      output: 'root',
      usage: { input_tokens: 20, output_tokens: 2, reasoning_tokens: 0, cache_read_tokens: 4, cache_write_tokens: 6 },
      cost: { usd: 0.75, unpriced: [], basis: 'opencode' },
      model: 'scripted/model',
      toolCalls: 1,
      mayGoOn: false,
      modelCalls: 2,
    });
  });
});

describe('a read that began before an event', () => {
  test('and is answered after it takes no result of a tool away', () => {
    const observer = observe('shell');
    const history = (status: 'running' | 'completed') => [
      { message: assistant('msg_11', { completed: false }), parts: [bash('msg_11', 'prt_1', 'ls', status)] },
    ];
    observer.history(history('running'));
    observer.part(bash('msg_11', 'prt_1', 'ls'));
    observer.history(history('running'));
    expect(observer.summary().output).toBe('ran ls');
  });

  test('and shows the message of a part that came by then', () => {
    const observer = observe();
    observer.part(bash('msg_12', 'prt_2', 'ls', 'running'));
    observer.part(bash('msg_12', 'prt_2', 'ls'));
    // Of an earlier turn.
    observer.part(bash('msg_09', 'prt_1', 'ls'));
    observer.history([{ message: assistant('msg_12', { completed: false }), parts: [] }]);
    expect(observer.summary().toolCalls).toBe(1);
    expect(observer.message(assistant('msg_12', { finish: 'stop' }), true).finalised).toMatchObject({ hasToolResult: true });
  });
});

describe('calls of the model', () => {
  const step = (id: string, messageId = 'msg_11'): PartFacts => ({ id, messageId, type: 'step' });
  const retry = (attempt: number) => ({ attempt, message: 'no', nextAtMs: 0 });
  const open = { completed: false };
  const called = (...facts: readonly ((observer: TurnObserver) => unknown)[]) => {
    const observer = observe();
    observer.message(assistant('msg_11', open), true);
    for (const fact of facts) fact(observer);
    return observer.summary().modelCalls;
  };

  test.each<[string, number, ((observer: TurnObserver) => unknown)[]]>([
    ['that has not answered yet', 1, []],
    ['that answers, told twice', 1, [(one) => one.part(step('prt_1')), (one) => one.part(step('prt_1'))]],
    ['refused, and the wait is not over', 1, [(one) => one.status('ses_root', retry(1), 1)]],
    ['refused twice, and called again', 3, [(one) => one.status('ses_root', retry(2), 1), (one) => one.status('ses_root', 'busy', 2)]],
    ['refused, and the busy that followed was lost', 2, [(one) => one.status('ses_root', retry(1), 1), (one) => one.part(step('prt_1'))]],
    ['broken off, as a read shows it', 2, [(one) => one.part(step('prt_1')), (one) => one.part(step('prt_2'))]],
    [
      'refused; a read from before says busy',
      1,
      [(one) => one.status('ses_root', retry(1), 5), (one) => one.status('ses_root', 'busy', 4)],
    ],
    ['of two steps', 2, [(one) => one.part(step('prt_1')), (one) => one.message(assistant('msg_12', open), true)]],
    [
      'of two steps, each refused once',
      4,
      [
        (one) => one.status('ses_root', retry(1), 1),
        (one) => one.message(assistant('msg_12', open), true),
        (one) => one.status('ses_root', retry(1), 2),
        (one) => one.status('ses_root', 'busy', 3),
      ],
    ],
  ])('one %s: %d', (_what, count, facts) => {
    expect(called(...facts)).toBe(count);
  });

  test('a shell line makes none', () => {
    const observer = observe('shell');
    observer.message(assistant('msg_11'), true);
    expect(observer.summary().modelCalls).toBe(0);
  });
});

describe('the size of an answer', () => {
  const limited = () => {
    const observer = new TurnObserver({ messageId: 'msg_10', kind: 'prompt', maxAnswerBytes: 10 });
    observer.message(assistant('msg_11', { completed: false }), true);
    return observer;
  };

  test('counts text and reasoning in UTF-8, and is told once', () => {
    const observer = limited();
    observer.part(text('msg_11', ''));
    observer.delta('msg_11', 'prt_msg_11', 'text', 'aä€');
    expect(observer.takeExcess()).toBeUndefined();
    observer.delta('msg_11', 'prt_thought', 'text', '😀');
    expect(observer.takeExcess()).toBeUndefined();
    observer.delta('msg_11', 'prt_thought', 'text', '!');
    expect(observer.takeExcess()).toBe(Buffer.byteLength('aä€😀!'));
    observer.delta('msg_11', 'prt_thought', 'text', '!');
    expect(observer.takeExcess()).toBeUndefined();
  });

  test('counts a part once, whatever of it comes again, and what its deltas lost when it ends', () => {
    const observer = limited();
    observer.delta('msg_11', 'prt_msg_11', 'text', '123456789');
    observer.part(text('msg_11', '123'));
    observer.part(text('msg_11', '123456789', 2));
    observer.part(text('msg_11', '123456789', 2));
    expect(observer.takeExcess()).toBeUndefined();
    observer.part(text('msg_11', '12345678901', 2));
    expect(observer.takeExcess()).toBe(11);
  });
});

describe('text', () => {
  test('deltas make the partial answer; the ended part replaces it, a stored empty one does not', () => {
    const observer = observe();
    observer.message(assistant('msg_11', { completed: false }), true);
    observer.part(text('msg_11', ''));
    observer.delta('msg_11', 'prt_msg_11', 'text', 'Hello ');
    observer.delta('msg_11', 'prt_msg_11', 'text', 'wor');
    observer.delta('msg_11', 'prt_msg_11', 'reasoning', 'hidden');
    observer.part(text('msg_11', ''));
    expect(observer.summary().output).toBe('Hello wor');
    observer.part(text('msg_11', 'Hello world', 3));
    expect(observer.summary().output).toBe('Hello world');
  });

  test('a turn that was cut shows the last thing that was said', () => {
    const observer = observe();
    observer.message(assistant('msg_11', { finish: 'tool-calls' }), true);
    observer.part(text('msg_11', 'I will look.', 2));
    observer.message(assistant('msg_12', { completed: false }), true);
    expect(observer.summary().output).toBe('I will look.');
  });

  test("a shell turn's output is its tool's", () => {
    const observer = observe('shell');
    observer.message(assistant('msg_11'), true);
    observer.part(bash('msg_11', 'prt_1', 'ls'));
    expect(observer.summary()).toMatchObject({ output: 'ran ls', model: null });
  });
});

describe('what a message says of the answer', () => {
  test('starts once, and has its end with its parent, its reason and its error', () => {
    const observer = observe();
    const open = assistant('msg_11', { completed: false });
    expect(observer.message(open, true)).toEqual({ started: { id: 'msg_11', parentId: 'msg_10' } });
    expect(observer.message(open, true)).toEqual({});
    const error = { kind: 'provider', name: 'APIError', message: 'no', retryable: false } as const;
    expect(observer.message(assistant('msg_11', { error }), true).finalised).toMatchObject({
      id: 'msg_11',
      parentId: 'msg_10',
      error: { kind: 'provider', name: 'APIError' },
    });
  });

  test('text is of the newest message, a result of any tool of the turn', () => {
    const observer = observe();
    const endOf = (id: string) => observer.message(assistant(id, { finish: 'stop' }), true).finalised;
    expect(endOf('msg_11')).toMatchObject({ hasText: false, hasToolResult: false });
    observer.part(text('msg_11', 'Said.', 2));
    expect(endOf('msg_11')).toMatchObject({ hasText: true, hasToolResult: false });
    observer.part(bash('msg_11', 'prt_1', 'ls', 'running'));
    expect(endOf('msg_12')).toMatchObject({ hasText: false, hasToolResult: false });
    observer.part(bash('msg_11', 'prt_1', 'ls'));
    expect(endOf('msg_13')).toMatchObject({ hasText: false, hasToolResult: true });
  });
});

describe('steps and calls that lead nowhere', () => {
  test('five ended messages in a row with neither a call nor an end, each counted once', () => {
    const observer = observe();
    const ids = ['msg_11', 'msg_12', 'msg_13', 'msg_14', 'msg_15'];
    for (const [index, id] of ids.entries()) {
      for (let times = 0; times < 3; times += 1) observer.message(assistant(id, index === 4 ? {} : { finish: 'unknown' }), true);
      expect(observer.loop.emptySteps).toBe(index + 1);
    }
  });

  test.each<{ what: string; end: Partial<AssistantMessageFacts>; withCall?: boolean; emptySteps: number }>([
    { what: 'a finish reason', end: { finish: 'stop' }, emptySteps: 0 },
    { what: 'an error', end: { error: { kind: 'provider', name: 'Named', message: 'It failed.' } }, emptySteps: 0 },
    { what: 'a call', end: { finish: 'tool-calls' }, withCall: true, emptySteps: 0 },
    { what: 'the reason of calls, without a call', end: { finish: 'tool-calls' }, emptySteps: 3 },
  ])('after $what the count is $emptySteps', ({ end, withCall = false, emptySteps }) => {
    const observer = observe();
    for (const id of ['msg_11', 'msg_12']) observer.message(assistant(id, { finish: 'unknown' }), true);
    observer.message(assistant('msg_13', { completed: false }), true);
    if (withCall) observer.part(bash('msg_13', 'prt_1', 'ls'));
    observer.message(assistant('msg_13', end), true);
    expect(observer.loop.emptySteps).toBe(emptySteps);
  });

  test('steps of sub-agents do not count, and their calls neither', () => {
    const observer = observe();
    for (let index = 11; index < 30; index += 1) {
      observer.message(assistant(`msg_${index}`, { finish: 'unknown' }), false);
      observer.part(bash(`msg_${index}`, `prt_${index}`, 'ls'));
    }
    expect(observer.loop).toMatchObject({ emptySteps: 0, repetitions: 0 });
  });

  test('calls with equal inputs and results, by events and by a read; a call without its result is none', () => {
    const observer = observe();
    observer.message(assistant('msg_11', { completed: false }), true);
    for (const id of ['prt_1', 'prt_2', 'prt_3']) {
      observer.part(bash('msg_11', id, 'ls', 'running'));
      observer.part(bash('msg_11', id, 'ls'));
    }
    observer.part(bash('msg_11', 'prt_4', 'ls', 'running'));
    expect(observer.loop).toMatchObject({ repetitions: 3, period: 1 });
    const message = assistant('msg_11', { finish: 'tool-calls' });
    observer.history([{ message, parts: ['prt_3', 'prt_4', 'prt_5'].map((id) => bash('msg_11', id, 'ls')) }]);
    expect(observer.loop).toMatchObject({ repetitions: 5, period: 1 });
  });
});

describe('history', () => {
  const history = (newest: AssistantMessageFacts) => [
    { message: { role: 'user', id: 'msg_10', sessionId: 'ses_root' } as const, parts: [] },
    { message: assistant('msg_11', { finish: 'tool-calls' }), parts: [bash('msg_11', 'prt_1', 'ls')] },
    { message: newest, parts: [text(newest.id, 'Done.', 3)] },
  ];

  test('gives the newest answer with its end, and can be read again and again', () => {
    const observer = observe();
    const final = { id: 'msg_12', parentId: 'msg_10', finish: 'stop', hasText: true, hasToolResult: true };
    for (let times = 0; times < 3; times += 1) {
      const read = observer.history(history(assistant('msg_12', { finish: 'stop' })));
      expect(read).toEqual({ found: true, newest: { id: 'msg_12', final }, changed: times === 0 });
    }
    expect(observer.summary()).toMatchObject({ output: 'Done.', toolCalls: 1, usage: { output_tokens: 2 } });
  });

  test('has no end while the newest message has none, and says when ours is not there', () => {
    const open = assistant('msg_12', { completed: false });
    expect(observe().history(history(open))).toMatchObject({ found: true, newest: { id: 'msg_12', final: null } });
    expect(observe().history([])).toEqual({ found: false, newest: null, changed: false });
    const ours = history(open).slice(0, 1);
    expect(observe().history(ours)).toEqual({ found: true, newest: null, changed: false });
  });

  test('does not give an answer to an earlier message', () => {
    const earlier = { message: assistant('msg_05', { parentId: 'msg_04', finish: 'stop' }), parts: [] };
    expect(observe().history([earlier])).toEqual({ found: false, newest: null, changed: false });
  });

  test.each<{ what: string; message?: Partial<AssistantMessageFacts>; parts: PartFacts[]; changed: boolean }>([
    { what: 'nothing new', parts: [bash('msg_11', 'prt_1', 'ls', 'running')], changed: false },
    { what: 'more text', parts: [text('msg_11', 'Half', 2)], changed: true },
    { what: 'another tool', parts: [bash('msg_11', 'prt_2', 'ls', 'running')], changed: true },
    { what: 'the result of a tool', parts: [bash('msg_11', 'prt_1', 'ls')], changed: true },
    { what: 'the end of the message', message: { completed: true }, parts: [], changed: true },
  ])('with $what: changed is $changed', ({ message = { completed: false }, parts, changed }) => {
    const observer = observe();
    observer.message(assistant('msg_11', { completed: false }), true);
    observer.part(bash('msg_11', 'prt_1', 'ls', 'running'));
    const read = [{ message: assistant('msg_11', message), parts }];
    expect(observer.history(read).changed).toBe(changed);
    expect(observer.history(read).changed).toBe(false);
  });
});

test("a sub-agent's history counts what it did in this turn, once", () => {
  const observer = observe();
  const earlier = { message: assistant('msg_05', { parentId: 'msg_04' }), parts: [bash('msg_05', 'prt_0', 'ls')] };
  const now = { message: assistant('msg_22', { parentId: 'msg_21' }), parts: [bash('msg_22', 'prt_1', 'ls')] };
  for (let times = 0; times < 2; times += 1) observer.childHistory([earlier, now]);
  expect(observer.summary()).toMatchObject({ toolCalls: 1, usage: { output_tokens: 1 }, output: '' });
});

test('a sub-agent has not begun while it has a prompt of this turn and no answer', () => {
  const observer = observe();
  const prompt = (id: string, sessionId: string) => observer.message({ role: 'user', id, sessionId }, false);
  prompt('msg_05', 'ses_old');
  prompt('msg_21', 'ses_child');
  expect(['ses_old', 'ses_child', 'ses_other'].map((id) => observer.isUnbegun(id))).toEqual([false, true, false]);
  observer.message(assistant('msg_22', { sessionId: 'ses_child', parentId: 'msg_21' }), false);
  expect(observer.isUnbegun('ses_child')).toBe(false);
});

test('what is spent is told once a step, sub-agents included, with the prices of the table before those of opencode', () => {
  const prices = { 'p/paid': { input: 1, output: 10 }, 'p/free': { input: 0, output: 0 } };
  const observer = new TurnObserver({ messageId: 'msg_10', kind: 'prompt', prices });
  expect(observer.takeSpent()).toBeUndefined();
  const tokens = { input: 100, output: 20, reasoning: 10, cacheRead: 1000, cacheWrite: 0 };
  observer.message(assistant('msg_11', { finish: 'tool-calls', model: 'p/paid', tokens }), true);
  // 100 and the cache at the price of input, 30 of output.
  expect(observer.takeSpent()).toEqual({ steps: 1, tokens: 130, usd: 0.0014 });
  expect(observer.takeSpent()).toBeUndefined();
  observer.message({ role: 'user', id: 'msg_12', sessionId: 'ses_child' }, false);
  observer.message(assistant('msg_13', { sessionId: 'ses_child', parentId: 'msg_12', model: 'p/free', tokens }), false);
  observer.message(assistant('msg_14', { completed: false, model: 'p/known', costUsd: 0, tokens: { ...tokens, input: 0 } }), true);
  expect(observer.takeSpent()).toEqual({ steps: 3, tokens: 260, usd: 0.0014 });
  observer.message(assistant('msg_14', { finish: 'stop', model: 'p/known', costUsd: 0.5, tokens }), true);
  expect(observer.takeSpent()).toEqual({ steps: 3, tokens: 390, usd: 0.5014 });
  expect(observer.summary().cost).toEqual({ usd: 0.5014, unpriced: [], basis: 'mixed' });
});

test('a cost of zero for used tokens is unknown, and named; without tokens it is zero', () => {
  const observer = observe();
  expect(observer.summary().cost).toEqual({ usd: 0, unpriced: [], basis: 'opencode' });
  observer.message(assistant('msg_11', { finish: 'stop', model: 'p/priced', costUsd: 0.25 }), true);
  observer.message(assistant('msg_12', { finish: 'stop', model: 'p/unknown' }), true);
  expect(observer.summary().cost).toEqual({ usd: 0.25, unpriced: ['p/unknown'], basis: 'opencode' });
});

test('what tools printed is not held, however much that was: the result does not show it', async () => {
  const observer = observe();
  observer.message(assistant('msg_11', { finish: 'tool-calls' }), true);
  const record = new WeakRef({ output: 'x'.repeat(2 ** 20) });
  observer.part(partFacts({ ...bash('msg_11', 'prt_1', 'ls'), sessionId: 'ses_root', callId: 'prt_1', raw: record.deref()! } as ToolPart));
  // A reference that was read lives to the end of its job.
  await new Promise(setImmediate);
  collectGarbage();
  expect(record.deref()).toBeUndefined();
  expect(observer.summary().toolCalls).toBe(1);
});
