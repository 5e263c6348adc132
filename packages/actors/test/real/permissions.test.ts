import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Ask, SessionPool, SessionPoolOptions } from '../../src/index.ts';
import { startBench, type Bench } from '../support/bench.ts';
import { createSessionPool } from '../support/pool.ts';
import { recordPaths, untilPath } from '../support/watch.ts';

const bash = (command: string) => ({ toolCalls: [{ name: 'bash', arguments: { command, description: 'run it' } }] });
const call = (name: string, args: object) => ({ toolCalls: [{ name, arguments: { ...args } }] });
const question = {
  name: 'question',
  arguments: {
    questions: [
      {
        question: 'Which one?',
        header: 'Choice',
        options: [
          { label: 'A', description: 'first' },
          { label: 'B', description: 'second' },
        ],
      },
    ],
  },
};
const subtask = { name: 'task', arguments: { description: 'sub', prompt: 'remove for the parent', subagent_type: 'general' } };

let bench: Bench;
beforeAll(async () => {
  bench = await startBench(
    [
      {
        when: { user: 'remove for the parent' },
        reply: [bash('rm -f child.txt'), { text: 'Child is done.', usage: { inputTokens: 100, outputTokens: 10 } }],
      },
      { when: { user: 'remove' }, reply: [bash('rm -f one.txt'), 'Went on.'] },
      { when: { user: 'use glob' }, reply: [call('glob', { pattern: '*.txt' }), 'Used.'] },
      { when: { user: 'use grep' }, reply: [call('grep', { pattern: 'first' }), 'Used.'] },
      { when: { user: 'use webfetch' }, reply: [call('webfetch', { url: 'http://127.0.0.1:9/', format: 'text' }), 'Used.'] },
      { when: { user: 'ask me' }, reply: [{ toolCalls: [question] }, 'Thank you.'] },
      {
        when: { user: 'delegate' },
        reply: [{ toolCalls: [subtask] }, { text: 'Parent is done.', usage: { inputTokens: 50, outputTokens: 5 } }],
      },
    ],
    {
      profile: 'interactive',
      opencodeConfig: { permission: { bash: { '*': 'allow', 'rm *': 'ask' }, glob: 'ask', grep: 'ask', webfetch: 'ask' } },
    },
  );
});
afterAll(() => bench?.[Symbol.asyncDispose]());

const openPool = (options: SessionPoolOptions = {}): Promise<SessionPool> =>
  createSessionPool({ server: bench.server, monitor: bench.monitor, ...options });
const allowRule = { permission: 'bash', pattern: 'rm -f one.txt', action: 'allow' };

describe('permission asks', () => {
  test('deny rejects with a message: the turn goes on, and the result names the rule', async () => {
    await using pool = await openPool();
    const result = await pool.run({ prompt: 'remove' });
    expect(result).toMatchObject({ outcome: 'succeeded', output: 'Went on.' });
    expect(result.asks).toEqual([
      {
        kind: 'permission',
        session_id: result.session_id,
        permission: 'bash',
        patterns: ['rm -f one.txt'],
        answer: 'denied',
        rules: [allowRule],
      },
    ]);
  });

  test('allow answers once: the next session is asked again', async () => {
    await using pool = await openPool({ permissions: 'allow' });
    for (let round = 0; round < 2; round += 1) {
      const result = await pool.run({ prompt: 'remove' });
      expect(result.asks.map(({ answer }) => answer)).toEqual(['allowed']);
    }
    const denied = await pool.run({ prompt: 'remove', permissions: 'deny' });
    expect(denied.asks.map(({ answer }) => answer)).toEqual(['denied']);
  });

  test('a callback decides with the facts; one that throws denies', async () => {
    const asked: Ask[] = [];
    const decide = async (ask: Ask) => {
      asked.push(ask);
      if (asked.length > 1) throw new Error('no idea');
      return { action: 'allow' } as const;
    };
    await using pool = await openPool({ permissions: decide });
    const first = await pool.run({ id: 'first', prompt: 'remove' });
    const second = await pool.run({ id: 'second', prompt: 'remove' });
    expect(asked[0]).toMatchObject({
      kind: 'permission',
      taskId: 'first',
      sessionId: first.session_id,
      permission: 'bash',
      patterns: ['rm -f one.txt'],
    });
    expect([first, second].flatMap(({ asks }) => asks.map(({ answer }) => answer))).toEqual(['allowed', 'denied']);
    expect(second.outcome).toBe('succeeded');
  });

  test('an escalated ask that nobody answers ends as needs_input', async () => {
    await using pool = await openPool({ permissions: [{ permission: '*', action: 'escalate' }], askTimeoutMs: 800 });
    const result = await pool.run({ prompt: 'remove' });
    expect(result).toMatchObject({ outcome: 'needs_input', error: { code: 'INPUT_NEEDED', details: { rules: [allowRule] } } });
    expect(result.asks).toMatchObject([{ answer: 'unanswered', rules: [allowRule] }]);
  });
});

test.each([['glob'], ['grep'], ['webfetch']])(
  'a request of %s, one of whose fields has no value, is listed with all others',
  async (tool) => {
    const held = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    await using pool = await openPool({
      permissions: async () => {
        asked.resolve();
        await held.promise;
        return { action: 'allow' };
      },
    });
    const [used, removed] = [pool.run({ prompt: `use ${tool}` }), pool.run({ prompt: 'remove' })];
    await asked.promise;
    const open = async () => {
      const { permissions, permissionsUnreadable } = await bench.server.snapshot(bench.workspace.path);
      // Aborted turns of other tests have left theirs.
      const ours = new Set(pool.snapshot().sessions.map(({ sessionId }) => sessionId));
      const listed = permissions.filter(({ sessionId }) => ours.has(sessionId)).map(({ permission }) => permission);
      return [permissionsUnreadable, listed.toSorted()];
    };
    await expect.poll(open, { timeout: 20_000 }).toEqual([undefined, ['bash', tool].toSorted()]);
    held.resolve();
    expect(await used).toMatchObject({ outcome: 'succeeded', output: 'Used.', asks: [{ permission: tool, answer: 'allowed' }] });
    expect(await removed).toMatchObject({ outcome: 'succeeded' });
  },
);

test('an ask that is open over a gap of the stream can still be answered by another client', async () => {
  await using pool = await openPool({ permissions: () => ({ action: 'escalate' }) });
  const running = pool.run({ prompt: 'remove' });
  await untilPath(pool, 'active.awaitingInput');
  const paths = recordPaths(pool);
  bench.monitor.reconnect();
  await expect.poll(() => paths.at(-1), { timeout: 10_000 }).toBe('active.awaitingInput');
  const { permissions } = await bench.server.snapshot(bench.workspace.path);
  const open = permissions.find(({ sessionId }) => sessionId === pool.snapshot().sessions[0]?.sessionId);
  await bench.server.answerPermission(open!, { reply: 'once' });
  expect(await running).toMatchObject({ outcome: 'succeeded', gaps: 1, asks: [{ answer: 'allowed' }] });
  expect(paths).toContain('active.reconciling');
});

describe('questions', () => {
  test('deny rejects the question, and the outcome says that input is needed', async () => {
    await using pool = await openPool();
    expect(await pool.run({ prompt: 'ask me' })).toMatchObject({
      outcome: 'needs_input',
      error: { code: 'INPUT_NEEDED' },
      asks: [{ kind: 'question', answer: 'denied' }],
    });
  });

  test('a callback answers', async () => {
    const questions: unknown[] = [];
    const answer = (ask: Ask) => {
      questions.push(ask.questions);
      return { action: 'answer', answers: [['A']] } as const;
    };
    await using pool = await openPool({ permissions: answer });
    expect(await pool.run({ prompt: 'ask me' })).toMatchObject({
      outcome: 'succeeded',
      output: 'Thank you.',
      asks: [{ kind: 'question', answer: 'answered' }],
    });
    const choices = [
      { label: 'A', description: 'first' },
      { label: 'B', description: 'second' },
    ];
    expect(questions).toMatchObject([[{ question: 'Which one?', header: 'Choice', options: ['A', 'B'], choices }]]);
  });
});

test("a sub-agent's ask is answered by its root's policy, and its tokens roll up", async () => {
  await using pool = await openPool({ permissions: 'allow' });
  const paths = recordPaths(pool);
  const result = await pool.run({ prompt: 'delegate' });
  expect(result).toMatchObject({ outcome: 'succeeded', output: 'Parent is done.', asks: [{ permission: 'bash', answer: 'allowed' }] });
  expect(result.asks[0]?.session_id).not.toBe(result.session_id);
  expect(result.usage.input_tokens).toBeGreaterThanOrEqual(150);
  expect(result.tool_calls).toBe(2);
  expect(paths).toContain('active.waitingOnChildren');
});
