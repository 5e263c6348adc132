import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  messageFacts,
  partFacts,
  type AssistantMessage,
  type AssistantMessageFacts,
  type PartFacts,
  type ToolPart,
} from '@opencode-manager/core/protocol';
import { describe, expect, test } from 'vitest';
import { TurnObserver } from '../../src/session/turn-observer.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const limits = { emptyMessages: 5, sameToolCalls: 3 };

function assistant(id: string, change: Partial<AssistantMessage> = {}): AssistantMessageFacts {
  return messageFacts({
    id,
    sessionID: 'ses_root',
    role: 'assistant',
    parentID: 'msg_10',
    modelID: 'model',
    providerID: 'scripted',
    mode: 'build',
    agent: 'build',
    path: { cwd: '/work', root: '/work' },
    cost: 0,
    tokens: { input: 10, output: 1, reasoning: 0, cache: { read: 2, write: 3 } },
    time: { created: 1, completed: 2 },
    ...change,
  }) as AssistantMessageFacts;
}

const text = (messageID: string, content: string, end?: number): PartFacts =>
  partFacts({
    id: `prt_${messageID}`,
    sessionID: 'ses_root',
    messageID,
    type: 'text',
    text: content,
    time: { start: 1, ...(end !== undefined && { end }) },
  });

const wireBash = (messageID: string, id: string, command: string, status: 'running' | 'completed' = 'completed'): ToolPart => ({
  id,
  sessionID: 'ses_root',
  messageID,
  type: 'tool',
  callID: id,
  tool: 'bash',
  state:
    status === 'running'
      ? { status, input: { command }, time: { start: 1 } }
      : { status, input: { command }, output: `ran ${command}`, title: '', metadata: {}, time: { start: 1, end: 2 } },
});

const bash = (...of: Parameters<typeof wireBash>) => partFacts(wireBash(...of));

const observe = (kind: 'prompt' | 'shell' = 'prompt') => new TurnObserver({ messageId: 'msg_10', kind }, limits);

describe('what belongs to the turn', () => {
  test('what a try said that broke off is no part of the answer, in whatever order its parts come again', () => {
    const stepStart = (id: string) => partFacts({ id, sessionID: 'ses_root', messageID: 'msg_11', type: 'step-start' });
    const said = (id: string, content: string) => ({ ...text('msg_11', content, 2), id });
    const parts = [stepStart('prt_1'), said('prt_2', 'Half an'), stepStart('prt_3'), said('prt_4', 'The answer.')];
    const observer = observe();
    observer.message(assistant('msg_11', { finish: 'stop' }), true);
    for (const part of parts.concat(parts)) observer.part(part);
    expect(observer.summary().output).toBe('The answer.');
    observer.part(stepStart('prt_5'));
    expect(observer.message(assistant('msg_11', { finish: 'stop' }), true).finalised).toMatchObject({ empty: true });
  });

  test('an answer to an earlier message does not; one to a later message of opencode itself does', () => {
    const observer = observe();
    expect(observer.message(assistant('msg_06', { parentID: 'msg_05', finish: 'stop' }), true)).toEqual({});
    // After a compaction opencode goes on under a user message of its own.
    expect(observer.message(assistant('msg_13', { parentID: 'msg_12', finish: 'stop' }), true)).toEqual({
      finalised: { id: 'msg_13', finish: 'stop', empty: true },
    });
  });

  test("sub-agents count in tokens, cost and tools, and say nothing about the root's answer", () => {
    const observer = observe();
    observer.message(assistant('msg_11', { finish: 'stop', cost: 0.5 }), true);
    expect(observer.message(assistant('msg_99', { parentID: 'msg_98', finish: 'stop', cost: 0.25 }), false)).toEqual({});
    observer.part(bash('msg_99', 'prt_1', 'ls'));
    observer.part(text('msg_11', 'root', 2));
    observer.part(text('msg_99', 'child', 2));
    expect(observer.summary()).toEqual({
      output: 'root',
      usage: { input_tokens: 20, output_tokens: 2, reasoning_tokens: 0, cache_read_tokens: 4, cache_write_tokens: 6 },
      costUsd: 0.75,
      model: 'scripted/model',
      toolCalls: 1,
    });
  });
});

describe('text', () => {
  test('deltas make the partial answer; the ended part replaces it, a stored empty one does not', () => {
    const observer = observe();
    observer.message(assistant('msg_11', { time: { created: 1 } }), true);
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
    observer.message(assistant('msg_12', { time: { created: 3 } }), true);
    expect(observer.summary().output).toBe('I will look.');
  });

  test("a shell turn's output is its tool's", () => {
    const observer = observe('shell');
    observer.message(assistant('msg_11'), true);
    observer.part(bash('msg_11', 'prt_1', 'ls'));
    expect(observer.summary()).toMatchObject({ output: 'ran ls', model: null });
  });
});

describe('emptiness', () => {
  test('no text is empty, unless a tool of the turn gave a result', () => {
    const observer = observe();
    expect(observer.message(assistant('msg_11', { finish: 'stop' }), true).finalised?.empty).toBe(true);
    observer.message(assistant('msg_12', { finish: 'tool-calls' }), true);
    observer.part(bash('msg_12', 'prt_1', 'ls'));
    expect(observer.message(assistant('msg_13', { finish: 'stop' }), true).finalised?.empty).toBe(false);
  });
});

describe('runaway', () => {
  test('five completed answers in a row without finish, tool or error, each counted once', () => {
    const observer = observe();
    for (const id of ['msg_11', 'msg_12', 'msg_13', 'msg_14'])
      for (let times = 0; times < 3; times += 1) observer.message(assistant(id, { finish: 'unknown' }), true);
    expect(observer.runaway).toBeUndefined();
    observer.message(assistant('msg_15'), true);
    expect(observer.runaway).toContain('5 answers in a row');
  });

  test('an answer with a finish starts the count anew', () => {
    const observer = observe();
    const ids = Array.from({ length: 9 }, (_, index) => `msg_${11 + index}`);
    for (const [index, id] of ids.entries()) observer.message(assistant(id, index === 4 ? { finish: 'tool-calls' } : {}), true);
    expect(observer.runaway).toBeUndefined();
  });

  test('identical tool calls in a row; a different one starts anew, an update of the same part is no call', () => {
    const observer = observe();
    observer.message(assistant('msg_11', { time: { created: 1 } }), true);
    for (const [id, command] of [
      ['prt_1', 'ls'],
      ['prt_2', 'ls'],
      ['prt_3', 'pwd'],
      ['prt_4', 'ls'],
      ['prt_5', 'ls'],
    ] as const) {
      observer.part(bash('msg_11', id, command, 'running'));
      observer.part(bash('msg_11', id, command));
    }
    expect(observer.runaway).toBeUndefined();
    observer.part(bash('msg_11', 'prt_6', 'ls', 'running'));
    expect(observer.runaway).toBe('3 identical tool calls in a row');
  });
});

describe('history', () => {
  const history = (newest: AssistantMessageFacts) => [
    { message: { role: 'user', id: 'msg_10', sessionId: 'ses_root' } as const, parts: [] },
    { message: assistant('msg_11', { finish: 'tool-calls' }), parts: [bash('msg_11', 'prt_1', 'ls')] },
    { message: newest, parts: [text(newest.id, 'Done.', 3)] },
  ];

  test('gives the final answer, and can be read again and again', () => {
    const observer = observe();
    for (let times = 0; times < 3; times += 1) {
      const read = observer.history(history(assistant('msg_12', { finish: 'stop' })));
      expect(read).toEqual({ found: true, final: { id: 'msg_12', finish: 'stop', empty: false } });
    }
    expect(observer.summary()).toMatchObject({ output: 'Done.', toolCalls: 1, usage: { output_tokens: 2 } });
  });

  test('has no final answer while the newest message is unfinished, and says when ours is not there', () => {
    expect(observe().history(history(assistant('msg_12', { time: { created: 1 } }))).final).toBeNull();
    expect(observe().history([])).toEqual({ found: false, final: null });
  });
});

test("a sub-agent's history counts what it did in this turn, once", () => {
  const observer = observe();
  const earlier = { message: assistant('msg_05', { parentID: 'msg_04' }), parts: [bash('msg_05', 'prt_0', 'ls')] };
  const now = { message: assistant('msg_22', { parentID: 'msg_21' }), parts: [bash('msg_22', 'prt_1', 'ls')] };
  for (let times = 0; times < 2; times += 1) observer.childHistory([earlier, now]);
  expect(observer.summary()).toMatchObject({ toolCalls: 1, usage: { output_tokens: 1 }, output: '' });
});

test('a cost of zero for used tokens is unknown; without tokens it is zero', () => {
  const observer = observe();
  expect(observer.summary().costUsd).toBe(0);
  observer.message(assistant('msg_11', { finish: 'stop' }), true);
  expect(observer.summary().costUsd).toBeNull();
});

test('what tools printed is not held, however much that was: the result does not show it', async () => {
  const observer = observe();
  observer.message(assistant('msg_11', { finish: 'tool-calls' }), true);
  const state = new WeakRef({
    status: 'completed',
    input: {},
    output: 'x'.repeat(2 ** 20),
    title: '',
    metadata: {},
    time: { start: 1, end: 2 },
  } as const);
  observer.part(partFacts({ ...wireBash('msg_11', 'prt_1', 'ls'), state: state.deref()! }));
  // A reference that was read lives to the end of its job.
  await new Promise(setImmediate);
  collectGarbage();
  expect(state.deref()).toBeUndefined();
  expect(observer.summary().toolCalls).toBe(1);
});
