import { describe, expect, it } from 'vitest';
import { answer, plainTurn, type Action, type Fault, type Plan, type TaskPlan, type ToolScript, type TurnScript } from '../../src/index.ts';
import { runPinned } from '../support/pinned.ts';

const run = (key: string, atMs: number, task: Partial<TaskPlan> = {}): Action => ({
  do: 'run',
  when: { atMs },
  key,
  task: { script: 0, ...task },
});
const kill = (when: Fault['when']): Fault => ({ what: 'kill', when });
const long = plainTurn({ steps: [answer('half of it', { thinkMs: 30_000 })] });
const interrupted = [expect.objectContaining({ attempt: 1, outcome: 'interrupted' })] as unknown;

describe('a turn that broke off', () => {
  it("with onInterrupted 'fail' ends as interrupted, with the text so far, and is not sent again; the next task runs", async () => {
    const { broken, task } = await runPinned({
      pool: { maxSessions: 1, permissions: 'allow', onInterrupted: 'fail' },
      scripts: [plainTurn({ steps: [answer('so far', { hangs: true })] }), plainTurn()],
      actions: [run('T0', 3000), run('T1', 3500, { script: 1 })],
      faults: [kill({ point: 'step', nth: 1, afterMs: 500 })],
    });
    expect(task('T0')).toMatchObject({ outcome: 'interrupted', code: 'SERVER_EXITED', output: 'so far' });
    expect(task('T0').call.result).toMatchObject({ attempt: 1, workspace_may_be_half_changed: true });
    expect(task('T1')).toMatchObject({ outcome: 'succeeded', output: 'done' });
    expect(broken).toEqual([]);
  });

  it('with a permission, a question or a sub-agent open is repeated, and no ask of the lost server is told again', async () => {
    const withTool = (ask: ToolScript['ask'], child?: TurnScript): TurnScript =>
      plainTurn({
        steps: [
          answer('', {
            text: [],
            finish: 'tool-calls',
            tools: [{ tool: 'bash', input: 'ls', output: 'a', forMs: 20, ...(ask && { ask }), ...(child && { child }) }],
          }),
          answer(),
        ],
      });
    const { broken, task } = await runPinned({
      // A callback answers after 5 s: both asks are open at the loss.
      pool: { maxSessions: 3, permissions: 5000 },
      scripts: [
        withTool({ kind: 'permission', permission: 'bash', pattern: 'ls' }),
        withTool({ kind: 'question', permission: '', pattern: '' }),
        withTool(undefined, plainTurn({ steps: [answer('below', { thinkMs: 8000 })] })),
      ],
      actions: [run('T0', 3000), run('T1', 3000, { script: 1 }), run('T2', 3000, { script: 2 })],
      faults: [kill({ point: 'ask', nth: 2, afterMs: 2000 })],
    });
    for (const key of ['T0', 'T2']) {
      expect(task(key)).toMatchObject({ outcome: 'succeeded', output: 'done' });
      expect(task(key).call.result).toMatchObject({ attempt: 2, attempts: interrupted });
    }
    expect(task('T0').call.result!.asks).toMatchObject([{ kind: 'permission', answer: 'allowed' }]);
    expect(task('T1').call.result).toMatchObject({ attempt: 2, attempts: interrupted, asks: [{ kind: 'question' }] });
    expect(task('T2').call.result).toMatchObject({ asks: [], tool_calls: 1 });
    expect(broken).toEqual([]);
  });
});

it('a server that dies again and again spends the budget: every task ends as server_lost, and nothing new is taken', async () => {
  const { broken, task, report } = await runPinned({
    scripts: [long],
    actions: [run('T0', 3000), run('T1', 3000), run('T2', 3000), run('T3', 3000), run('late', 200_000)],
    faults: [2, 4, 6, 8].map((nth) => kill({ point: 'step', nth, afterMs: 100 })),
  });
  for (const key of ['T0', 'T1', 'T2', 'T3']) expect(task(key)).toMatchObject({ outcome: 'server_lost', code: 'RESTART_BUDGET_SPENT' });
  expect(report.calls.find(({ task: of }) => of === 'late')?.error).toMatchObject({ code: 'POOL_STOPPED' });
  expect(broken).toEqual([]);
});

describe('while the server is away', () => {
  it('tasks and sessions wait, a task can be aborted, a leased turn is not repeated unasked; a drain ends when all is done', async () => {
    const { broken, task, report } = await runPinned({
      pool: { maxSessions: 3, permissions: 'allow' },
      scripts: [long, plainTurn()],
      actions: [
        { do: 'lease', when: { atMs: 3000 }, key: 'L0', how: 'create' },
        { do: 'prompt', when: { atMs: 3200 }, lease: 'L0', key: 'L0.0', task: { script: 0 } },
        run('aborted', 3200),
        run('repeated', 3200),
        { do: 'abort', key: 'aborted', when: { point: 'step', nth: 3, afterMs: 110 } },
        { do: 'run', key: 'queued', task: { script: 1 }, when: { point: 'step', nth: 3, afterMs: 105 } },
        { do: 'lease', key: 'L1', how: 'create', when: { point: 'step', nth: 3, afterMs: 105 } },
        { do: 'prompt', lease: 'L0', key: 'L0.1', task: { script: 1 }, when: { point: 'step', nth: 3, afterMs: 20_000 } },
        { do: 'release', lease: 'L0', when: { point: 'step', nth: 3, afterMs: 25_000 } },
        { do: 'release', lease: 'L1', when: { point: 'step', nth: 3, afterMs: 25_000 } },
        { do: 'drain', when: { point: 'step', nth: 3, afterMs: 25_100 } },
      ],
      faults: [kill({ point: 'step', nth: 3, afterMs: 100 })],
    });
    expect(task('aborted')).toMatchObject({ outcome: 'aborted', code: 'TURN_ABORTED' });
    expect(task('aborted').call.result).toMatchObject({ attempt: 1 });
    expect(task('aborted').tookMs).toBeLessThan(1000);
    expect(task('L0.0')).toMatchObject({ outcome: 'interrupted' });
    expect(task('L0.1')).toMatchObject({ outcome: 'succeeded', output: 'done' });
    expect(task('L0.1').call.result?.session_id).toBe(task('L0.0').call.result?.session_id);
    expect(task('queued').call.result).toMatchObject({ outcome: 'succeeded', attempt: 1 });
    expect(task('repeated').call.result).toMatchObject({ outcome: 'succeeded', attempt: 2, attempts: interrupted });
    expect(report.calls.find(({ name }) => name === 'drain')?.endedAtMs).toBeDefined();
    expect(broken).toEqual([]);
  });

  it('a stop ends the recovery and its tasks as aborted', async () => {
    const { broken, task, report } = await runPinned({
      pool: { maxSessions: 1, permissions: 'allow' },
      scripts: [long],
      actions: [run('T0', 3000), run('T1', 3000), { do: 'stop', when: { point: 'step', nth: 1, afterMs: 200 } }],
      faults: [kill({ point: 'step', nth: 1, afterMs: 100 })],
    });
    for (const key of ['T0', 'T1']) expect(task(key)).toMatchObject({ outcome: 'aborted' });
    const stop = report.calls.find(({ name }) => name === 'stop')!;
    expect(stop.endedAtMs! - stop.beganAtMs).toBeLessThan(5000);
    expect(broken).toEqual([]);
  });
});

describe('of a retiring server and its successor', () => {
  const plan = {
    scripts: [long],
    actions: [
      run('older', 3000),
      { do: 'rotate', when: { point: 'step', nth: 1, afterMs: 100 } },
      { do: 'run', key: 'newer', task: { script: 0 }, when: { point: 'launched', nth: 2, afterMs: 1000 } },
    ],
  } satisfies Partial<Plan>;
  // A kill meets the newest server that runs: the second one, then, while the third one starts, the first.
  const second = kill({ point: 'step', nth: 2, afterMs: 100 });
  const first = kill({ point: 'step', nth: 2, afterMs: 150 });
  const once = { outcome: 'succeeded', attempt: 1 };
  const twice = { outcome: 'succeeded', attempt: 2, attempts: interrupted };

  it.each([
    ['when the successor dies, the other is left alone', [second], once],
    ['when both die, the turns of both go on with the next', [second, first], twice],
  ])('%s', async (_, faults, older) => {
    const { broken, task } = await runPinned({ ...plan, faults });
    expect(task('older').call.result).toMatchObject(older);
    expect(task('newer').call.result).toMatchObject(twice);
    expect(broken).toEqual([]);
  });
});
