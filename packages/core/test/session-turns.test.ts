import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Ask, AskDecision, Session, SessionOperations, TurnCallOptions } from '@opencode-manager/core';
import type { Script } from '@opencode-manager/testing';
import { createMessageIds } from '@opencode-manager/core/protocol';
import { createSession, type SessionContext } from '../src/session/index.ts';
import { failureOf } from './support/failure.ts';
import { startBench, type Bench } from './support/server.ts';
import { by } from './support/tested.ts';

const bash = (command: string) => ({ toolCalls: [{ name: 'bash', arguments: { command, description: 'run it' } }] });
const task = (prompt: string) => ({ toolCalls: [{ name: 'task', arguments: { description: 'sub', prompt, subagent_type: 'general' } }] });
const questions = [
  {
    question: 'Which one?',
    header: 'One',
    options: [
      { label: 'A', description: 'the first' },
      { label: 'B', description: 'the second' },
    ],
  },
];
const rules: Script['rules'] = [
  { name: 'cut', when: { user: /^cut/ }, reply: { text: 'half an ans', finish: 'length' } },
  { name: 'filtered', when: { user: /^filtered/ }, reply: { text: 'half', finish: 'content_filter' } },
  { name: 'empty', when: { user: /^empty/ }, reply: { text: '', finish: 'stop' } },
  { name: 'quiet', when: { user: /^quiet/ }, reply: [bash('true'), { text: '', finish: 'stop' }] },
  { name: 'slow', when: { user: /^slow/ }, reply: { text: 'one two three four five six seven eight nine ten', tokensPerSecond: 5 } },
  { name: 'ask', when: { user: /^ask/ }, reply: [bash('touch "a b" && echo done'), 'Asked.'] },
  { name: 'question', when: { user: /^question/ }, reply: [{ toolCalls: [{ name: 'question', arguments: { questions } }] }, 'Chosen.'] },
  { name: 'parent', when: { user: /^parent/ }, reply: [task('middle'), 'Parent is done.'] },
  { name: 'middle', when: { user: /^middle/ }, reply: [task('ask below'), 'Middle is done.'] },
  {
    name: 'fetch',
    when: { user: /^fetch/ },
    reply: [{ toolCalls: [{ name: 'webfetch', arguments: { url: 'http://127.0.0.1:1/', format: 'text' } }] }, 'no'],
  },
  { name: 'say', when: { user: /^say (\w+)/ }, reply: 'I say {{user.1}}.' },
];

let bench: Bench;
beforeAll(async () => {
  bench = await startBench(rules, {
    profile: 'interactive',
    opencodeConfig: {
      permission: { bash: { '*': 'allow', 'touch *': 'ask', 'echo *': 'ask' }, task: 'allow', webfetch: 'ask' },
      agent: { general: { permission: { task: 'allow' } } },
      subagent_depth: 2,
    },
  });
});
afterAll(() => bench[Symbol.asyncDispose]());

const busy = (session: Session) =>
  vi.waitFor(async () => expect((await session.getState()).status).toBe('busy'), { timeout: 15_000, interval: 20 });

describe.concurrent('what a finish reason means', () => {
  test.each([
    ['cut', 'ANSWER_TRUNCATED', 'length'],
    ['empty', 'ANSWER_EMPTY', 'stop'],
    ['quiet', 'ANSWER_EMPTY', 'stop'],
  ])('%s: %s', async (prompt, code, finish) => {
    const session = await bench.server.createSession();
    const error = await failureOf(session.prompt(prompt));
    expect([error.code, error.details['finish']]).toEqual([code, finish]);
  });

  test('a content filter is an error of the message to opencode', async () => {
    const session = await bench.server.createSession();
    expect(await failureOf(session.prompt('filtered'))).toMatchObject({
      code: 'ANSWER_FILTERED',
      details: { name: by({ v1: 'ContentFilterError', v2: 'provider.content-filter' }) },
    });
  });

  test('results carry it; an empty answer is good when that is allowed', async () => {
    const session = await bench.server.createSession();
    expect(await session.prompt('say yes')).toMatchObject({ finish: 'stop', text: 'I say yes.', asks: [] });
    expect(await session.prompt('quiet', { emptyAnswer: 'allow' })).toMatchObject({ finish: 'stop', text: '' });
    const options = { emptyAnswer: 'yes' } as unknown as TurnCallOptions;
    expect((await failureOf(session.prompt('say no', options))).code).toBe('CONFIG_INVALID');
  });
});

describe('permission requests and questions', () => {
  test('are denied by default; the turn goes on, and the result says what would allow them', async () => {
    const session = await bench.server.createSession();
    const result = await session.prompt('ask', { timeoutMs: 30_000 });
    expect(result.text).toBe('Asked.');
    const suggested = ['touch "a b"', 'echo done'].map((pattern) => ({ permission: 'bash', pattern, action: 'allow' }));
    expect(result.asks).toMatchObject([
      { kind: 'permission', sessionId: session.id, permission: 'bash', answer: 'denied', rules: suggested },
    ]);
    const again = await session.prompt('ask', { timeoutMs: 30_000, permissions: result.asks[0]!.rules! });
    expect(again.asks).toMatchObject([{ answer: 'allowed' }]);
  });

  test("a callback sees all that opencode tells, the session's policy counts for turns without their own", async () => {
    const asked: Ask[] = [];
    const permissions = (ask: Ask): AskDecision => {
      asked.push(ask);
      return ask.kind === 'question' ? { action: 'answer', answers: [['B']] } : { action: 'allow' };
    };
    const session = await bench.server.createSession({ permissions });
    expect((await session.prompt('ask', { timeoutMs: 30_000 })).asks).toMatchObject([{ answer: 'allowed' }]);
    expect((await session.prompt('question', { timeoutMs: 30_000 })).asks).toMatchObject([{ kind: 'question', answer: 'answered' }]);
    expect(asked).toMatchObject([
      {
        kind: 'permission',
        sessionId: session.id,
        directory: bench.workspace.path,
        patterns: ['touch "a b"', 'echo done'],
        metadata: by<object>({ v1: { command: 'touch "a b" && echo done' }, v2: {} }),
      },
      {
        kind: 'question',
        questions: [{ question: 'Which one?', header: 'One', options: ['A', 'B'], choices: questions[0]!.options }],
      },
    ]);
    expect(JSON.stringify(bench.model.calls.at(-1)?.messages)).toContain('B');
  });

  test('a callback without a return denies, and the reason is in the result', async () => {
    const session = await bench.server.createSession();
    const permissions = (() => undefined) as unknown as () => AskDecision;
    const { text, asks } = await session.prompt('ask', { timeoutMs: 30_000, permissions });
    expect(text).toBe('Asked.');
    expect(asks).toMatchObject([{ answer: 'denied', reason: expect.stringContaining('forgotten return') }]);
  });

  test('a rejected question ends the turn: INPUT_NEEDED', async () => {
    const session = await bench.server.createSession();
    const error = await failureOf(session.prompt('question', { timeoutMs: 30_000 }));
    expect([error.code, error.details['asks']]).toEqual([
      'INPUT_NEEDED',
      [expect.objectContaining({ kind: 'question', answer: 'denied' })],
    ]);
  });

  test("those of a sub-agent's sub-agent follow the turn's policy", async () => {
    const session = await bench.server.createSession();
    const result = await session.prompt('parent', { timeoutMs: 45_000, permissions: 'allow' });
    expect(result.text).toBe('Parent is done.');
    expect(result.asks).toMatchObject([{ permission: 'bash', answer: 'allowed' }]);
    expect(result.asks[0]!.sessionId).not.toBe(session.id);
    const [child] = await session.children();
    expect(child!.id).not.toBe(result.asks[0]!.sessionId);
  });

  test('escalate leaves them open for server.answerPermission', async () => {
    const session = await bench.server.createSession();
    const seen = Promise.withResolvers<void>();
    const escalate = (): AskDecision => {
      seen.resolve();
      return { action: 'escalate' };
    };
    const turn = session.prompt('parent', { timeoutMs: 45_000, permissions: escalate });
    const open = await vi.waitFor(
      async () => {
        const [request] = (await session.getState()).pendingPermissions;
        expect(request).toBeDefined();
        return request!;
      },
      { timeout: 30_000, interval: 50 },
    );
    // What is answered between two reads of the wait is no ask of its record.
    await seen.promise;
    await bench.server.answerPermission(open, { reply: 'once' });
    expect((await turn).asks).toMatchObject([{ answer: 'escalated' }]);
  });

  test('what an aborted turn left open does not hold up the next one', async () => {
    const session = await bench.server.createSession();
    const turn = failureOf(session.prompt('ask', { permissions: 'escalate' }));
    await vi.waitFor(async () => expect((await session.getState()).pendingPermissions.length).toBe(1), { timeout: 15_000 });
    await session.abort();
    expect((await turn).code).toBe('TURN_ABORTED');
    expect((await session.prompt('say again', { timeoutMs: 30_000 })).text).toBe('I say again.');
  });

  test.each([
    ['a turn', () => bench.server.createSession().then((session) => session.prompt('say x', { permissions: 'ask' as never }))],
    ['a session', () => bench.server.createSession({ permissions: [{ permission: 'bash', action: 'ask' }] as never })],
  ])('a policy of %s that is none is refused before anything is sent', async (_, start) => {
    const error = await failureOf(start());
    expect([error.code, error.message]).toEqual(['CONFIG_INVALID', expect.stringMatching(/^permissions.*received "ask"/)]);
  });

  test('one that opencode alone could not list is listed, and fails no other session of the directory', async () => {
    const other = await bench.server.createSession();
    const session = await bench.server.createSession();
    const turn = failureOf(session.prompt('fetch', { permissions: 'escalate' }));
    const listed = async () => (await bench.server.snapshot()).permissions.map(({ sessionId }) => sessionId);
    await vi.waitFor(async () => expect(await listed()).toEqual([session.id]), { timeout: 15_000 });
    expect((await bench.server.snapshot()).permissionsUnreadable).toBeUndefined();
    expect((await other.prompt('say fine', { timeoutMs: 30_000 })).text).toBe('I say fine.');
    await session.abort();
    expect((await turn).code).toBe('TURN_ABORTED');
  });
});

describe.concurrent('a turn without an answer', () => {
  /** A session like those of the server, with what the test wants otherwise. */
  const sessionWith = async (changes: Partial<SessionContext>, operationsChanges: Partial<SessionOperations> = {}) => {
    const { server } = bench;
    const { id, directory } = await server.createSession();
    const context: SessionContext = {
      snapshots: server.snapshots,
      stateDir: server.stateDir,
      messageIds: createMessageIds(),
      snapshot: (of, options) => server.snapshot(of, options),
      catalogue: (of, options) => server.catalogue(of, options),
      ready: async () => undefined,
      operationsOf: (of, at) => server.operations(of, at),
      parentOf: async (of, at) => (await server.operations(of, at).info()).parentId,
      projectSessions: () => server.listSessions(),
      worktreeOf: async () => undefined,
      watchSession: async () => ({ failure: () => undefined, stop: () => undefined }),
      answerPermission: (...call) => server.answerPermission(...call),
      answerQuestion: (...call) => server.answerQuestion(...call),
      sessionOf: () => {
        throw new Error('not used');
      },
      silenceMs: 1500,
      ...changes,
    };
    return createSession(context, { ...server.operations(id, directory), ...operationsChanges });
  };

  test(by({ v1: 'is interrupted when our message stays alone', v2: 'has failed with the reason that opencode gives' }), async () => {
    // opencode takes a prompt for a model that it does not have; 1.x never answers it.
    const catalogue = async () => ({ models: ['scripted/none'], agents: [], commands: [], defaultModel: undefined });
    const session = await sessionWith({ catalogue });
    const error = await failureOf(session.prompt('say x', { model: 'scripted/none' }));
    const { code, says, roles } = by({
      v1: { code: 'TURN_INTERRUPTED', says: 'idle for 1500 ms with our message', roles: ['user'] },
      v2: { code: 'TURN_FAILED', says: 'Model unavailable: scripted/none', roles: ['user', 'assistant'] },
    });
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(says)]);
    expect((await session.messages()).map(({ info }) => info.role)).toEqual(roles);
  });

  test('has failed when our message never appears', async () => {
    const session = await sessionWith({}, { submit: () => Promise.resolve() });
    const error = await failureOf(session.prompt('say x'));
    expect([error.code, error.message]).toEqual(['TURN_FAILED', expect.stringContaining('never appeared')]);
  });

  test('is not given up while a command or shell line works before it shows anything', async () => {
    const session = await sessionWith({ silenceMs: 300 });
    expect((await session.executeShell('sleep 1.2; echo slept')).text).toBe('slept\n');
  });
});

describe.concurrent('the queue of a session', () => {
  test('a deadline counts the time in the queue, and takes the turn out of it', async () => {
    const session = await bench.server.createSession();
    const first = session.prompt('slow one');
    await busy(session);
    const over = vi.fn();
    void first.then(over);
    const error = await failureOf(session.prompt('say never', { timeoutMs: 100 }));
    expect([error.code, error.details]).toEqual(['TURN_TIMEOUT', { timeoutMs: 100, sent: false }]);
    expect(over).not.toHaveBeenCalled();
    expect((await session.getState()).queued).toBe(0);
    expect((await first).text).toContain('ten');
    expect((await session.prompt('say next')).text).toBe('I say next.');
    expect(JSON.stringify(await session.messages())).not.toContain('say never');
  });

  test('an abort takes a waiting turn out at once, those behind it keep their order', async () => {
    const session = await bench.server.createSession();
    const first = session.prompt('slow one');
    await busy(session);
    const caller = new AbortController();
    const [second, third] = [failureOf(session.prompt('say second', { signal: caller.signal })), session.prompt('say third')];
    const revert = failureOf(session.revertMessage('msg_x', { timeoutMs: 100 }));
    const summary = failureOf(session.summarize('scripted/model', { signal: caller.signal }));
    expect((await revert).code).toBe('REQUEST_TIMEOUT');
    caller.abort();
    const codes = [await second, await summary].map(({ code, details }) => [code, details['sent']]);
    expect(codes).toEqual([
      ['REQUEST_ABORTED', false],
      ['REQUEST_ABORTED', false],
    ]);
    expect((await session.getState()).status).toBe('busy');
    expect((await first).text).toContain('ten');
    expect((await third).text).toBe('I say third.');
  });

  test('a turn after one that was given up waits until that one is over', async () => {
    const session = await bench.server.createSession();
    expect((await failureOf(session.prompt('slow one', { timeoutMs: 400 }))).details).toEqual({ timeoutMs: 400, sent: true });
    expect((await session.prompt('say after')).text).toBe('I say after.');
    const texts = (await session.messages()).map(({ info }) => info.role);
    expect(texts).toEqual(['user', 'assistant', 'user', 'assistant']);
  });
});

test('a read of the state says when each of its parts was asked for', async () => {
  const beforeMs = Date.now();
  const { startedAtMs, sentAtMs } = await bench.server.snapshot();
  for (const atMs of Object.values(sentAtMs)) expect(atMs).toBeGreaterThanOrEqual(startedAtMs);
  expect(startedAtMs).toBeGreaterThanOrEqual(beforeMs);
  expect(Object.keys(sentAtMs)).toEqual(['status', 'permissions', 'questions']);
});
