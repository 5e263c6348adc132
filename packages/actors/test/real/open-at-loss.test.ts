import { expect, test } from 'vitest';
import type { Ask, AskDecision } from '../../src/index.ts';
import { startBench } from '../support/bench.ts';
import { createSessionPool } from '../support/pool.ts';
import { until } from '../support/watch.ts';

const bash = (command: string) => ({ toolCalls: [{ name: 'bash', arguments: { command, description: 'run it' } }] });
const options = [
  { label: 'A', description: 'first' },
  { label: 'B', description: 'second' },
];
const question = { name: 'question', arguments: { questions: [{ question: 'Which one?', header: 'Choice', options }] } };
const subtask = { name: 'task', arguments: { description: 'sub', prompt: 'work for the parent', subagent_type: 'general' } };

/** The sub-agent of the first try does not come to its end. */
const rules = [
  { when: { user: 'work for the parent' }, reply: { text: 'word '.repeat(400), tokensPerSecond: 20 }, times: 1, name: 'child' },
  { when: { user: 'work for the parent' }, reply: 'Child is done.' },
  { when: { user: 'remove' }, reply: [bash('rm -f one.txt'), 'Removed.'] },
  { when: { user: 'ask me' }, reply: [{ toolCalls: [question] }, 'Thank you.'] },
  { when: { user: 'delegate' }, reply: [{ toolCalls: [subtask] }, 'Parent is done.'] },
];

test('a permission, a question and a sub-agent that are open when the server is killed: all run again, and nothing stale stays', async () => {
  await using bench = await startBench(rules, {
    profile: 'interactive',
    opencodeConfig: { permission: { bash: { '*': 'allow', 'rm *': 'ask' } } },
  });
  let isKilled = false;
  const asked: Ask[] = [];
  const decide = (ask: Ask): AskDecision => {
    asked.push(ask);
    if (!isKilled) return { action: 'escalate' };
    return ask.kind === 'question' ? { action: 'answer', answers: [['A']] } : { action: 'allow' };
  };
  await using pool = await createSessionPool({ server: bench.server, recovery: true, permissions: decide });
  const tasks = [
    pool.run({ id: 'permission', prompt: 'remove it' }),
    pool.run({ id: 'question', prompt: 'ask me' }),
    pool.run({ id: 'child', prompt: 'delegate it' }),
  ];
  await bench.model.waitForCalls(1, { rule: 'child', timeoutMs: 30_000 });
  const paths = ['active.awaitingInput', 'active.awaitingInput', 'active.waitingOnChildren'];
  await until(
    pool,
    ({ sessions }) =>
      sessions
        .map(({ path }) => path)
        .toSorted()
        .join() === paths.join(),
    30_000,
  );

  isKilled = true;
  process.kill(pool.server.pid, 'SIGKILL');
  const results = await Promise.all(tasks);
  const again = { outcome: 'succeeded', attempt: 2, attempts: [{ attempt: 1, outcome: 'interrupted' }] };
  expect(results).toMatchObject([
    { ...again, id: 'permission', output: 'Removed.', asks: [{ kind: 'permission', answer: 'allowed' }] },
    { ...again, id: 'question', output: 'Thank you.', asks: [{ kind: 'question', answer: 'answered' }] },
    { ...again, id: 'child', output: 'Parent is done.', asks: [], tool_calls: 1 },
  ]);
  // Each was asked once a try: what was open when the server died is not shown again.
  expect(asked.map(({ taskId = '' }) => taskId).toSorted()).toEqual(['permission', 'permission', 'question', 'question']);
  expect(new Set(asked.map(({ id }) => id)).size).toBe(4);
  const { permissions, questions, status } = await pool.server.snapshot(bench.workspace.path);
  expect({ permissions, questions, status }).toEqual({ permissions: [], questions: [], status: {} });
  expect(pool.snapshot()).toMatchObject({ state: 'running', serverRestarts: 1, active: 0 });
});
