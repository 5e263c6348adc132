import { describe, expect, it } from 'vitest';
import { answer, calmLink, plainTurn, type Action, type TaskPlan, type ToolScript, type TurnScript } from '../../src/index.ts';
import { runPinned } from '../support/pinned.ts';

const run = (key: string, atMs: number, task: Partial<TaskPlan> = {}): Action => ({
  do: 'run',
  when: { atMs },
  key,
  task: { script: 0, ...task },
});

const tool = (more: Partial<ToolScript> = {}): ToolScript => ({ tool: 'bash', input: 'ls', output: 'a b', forMs: 20, ...more });

const withTool = (more: Partial<ToolScript> = {}, thinkMs = 20): TurnScript =>
  plainTurn({ steps: [answer('', { text: [], thinkMs, tools: [tool(more)], finish: 'tool-calls' }), answer()] });

describe('the end of a turn', () => {
  it('is told with signals that were seen during the turn', async () => {
    const { broken, task } = await runPinned({ actions: [run('T0', 3000)] });
    expect(task('T0')).toMatchObject({ outcome: 'succeeded', output: 'done' });
    expect(broken).toEqual([]);
  });

  it('is not proven by an idle that was read before the turn began', async () => {
    const steps = [
      answer('', { text: [], thinkMs: 1, tools: [tool({ forMs: 130 })], finish: 'tool-calls' }),
      answer('done', { thinkMs: 5000 }),
    ];
    const { broken, task } = await runPinned({
      link: { ...calmLink, delayMs: [100, 100] },
      scripts: [plainTurn({ beginMs: 275, steps })],
      actions: [run('T0', 3000)],
      faults: [{ what: 'cut', silent: false, forMs: 3000, when: { point: 'accepted', nth: 1, afterMs: 120 } }],
    });
    expect(task('T0')).toMatchObject({ outcome: 'succeeded', output: 'done' });
    expect(broken).toEqual([]);
  });

  it('is not given up because of reads from before the turn began, late', async () => {
    const steps = [answer('', { text: [], thinkMs: 130, finish: 'tool-calls' }), answer('done', { thinkMs: 18 })];
    const { broken, task } = await runPinned({
      link: { ...calmLink, delayMs: [100, 100] },
      scripts: [plainTurn({ beginMs: 8150, steps })],
      actions: [run('T0', 3000)],
      faults: [{ what: 'cut', silent: false, forMs: 30_000, when: { atMs: 2900 } }],
    });
    expect(task('T0')).toMatchObject({ outcome: 'succeeded', output: 'done' });
    expect(broken).toEqual([]);
  });

  it('is not given up because one read took long', async () => {
    const { broken, task } = await runPinned({
      link: { ...calmLink, delayMs: [50, 50] },
      scripts: [plainTurn({ steps: [answer('done', { thinkMs: 2900 })] })],
      actions: [run('T0', 3000)],
      faults: [
        { what: 'cut', silent: false, forMs: 30_000, when: { atMs: 2900 } },
        { what: 'slow', delayMs: 6000, forMs: 6000, when: { atMs: 5500 } },
      ],
    });
    expect(task('T0')).toMatchObject({ outcome: 'succeeded', output: 'done' });
    expect(broken).toEqual([]);
  });

  it('is waited for without haste when it is aborted after a long silence', async () => {
    const { broken, report, task } = await runPinned({
      scripts: [plainTurn({ neverBegins: true })],
      actions: [
        { do: 'run', when: { atMs: 3000 }, key: 'T0', task: { script: 0, kind: 'shell' } },
        { do: 'abort', when: { atMs: 330_000 }, key: 'T0' },
      ],
    });
    expect(task('T0')).toMatchObject({ outcome: 'aborted' });
    expect(report.steps).toBeLessThan(5000);
    expect(broken).toEqual([]);
  });

  it('is found soon when its idle was never told', async () => {
    const { broken, task } = await runPinned({ scripts: [plainTurn({ idle: 'never' })], actions: [run('T0', 3000)] });
    expect(task('T0')).toMatchObject({ outcome: 'succeeded', output: 'done' });
    expect(task('T0').tookMs).toBeLessThan(60_000);
    expect(broken).toEqual([]);
  });

  it('is told at once when an error event comes before any answer', async () => {
    const { broken, task } = await runPinned({ scripts: [plainTurn({ unknownModel: true })], actions: [run('T0', 3000)] });
    expect(task('T0')).toMatchObject({ outcome: 'failed', code: 'TURN_FAILED' });
    expect(task('T0').tookMs).toBeLessThan(30_000);
    expect(broken).toEqual([]);
  });

  it('is not the end of the turn before, in the same session', async () => {
    const compacting = plainTurn({
      steps: [answer('', { text: [], tools: [tool()], finish: 'tool-calls' }), answer('first', { thinkMs: 10, compacts: true })],
    });
    const { broken, task } = await runPinned({
      pool: { maxSessions: 2, permissions: 'allow', sessions: 'reuse' },
      link: { ...calmLink, delayMs: [50, 50] },
      scripts: [compacting, plainTurn({ beginMs: 3000, steps: [answer('second')] })],
      actions: [run('T0', 3000), { do: 'run', key: 'T1', task: { script: 1 }, when: { point: 'tool', nth: 1, afterMs: 15 } }],
      faults: [{ what: 'cut', silent: false, forMs: 0, when: { point: 'accepted', nth: 2, afterMs: 80 } }],
    });
    expect(task('T0')).toMatchObject({ outcome: 'succeeded', output: 'first' });
    expect(task('T1')).toMatchObject({ outcome: 'succeeded', output: 'second' });
    expect(task('T1').call.result?.session_id).toBe(task('T0').call.result?.session_id);
    expect(broken).toEqual([]);
  });
});

describe('the quiet of sub-agents', () => {
  const background = (child: TurnScript, forMs = 20) => withTool({ background: true, child, forMs });
  const slowChild = (beginMs: number) =>
    plainTurn({ beginMs, steps: [answer('', { text: [], tools: [tool({ forMs: 4000 })] }), answer()] });

  it('is not proven by an idle that was read before they began', async () => {
    const { broken, task } = await runPinned({
      link: { ...calmLink, delayMs: [30, 30] },
      scripts: [background(slowChild(165), 1000)],
      actions: [run('T0', 3000), { do: 'abort', key: 'T0', when: { point: 'child', nth: 1, afterMs: 20 } }],
      faults: [{ what: 'lag', lagMs: 2000, forMs: 1000, when: { point: 'ended', nth: 1, afterMs: 0 } }],
    });
    expect(task('T0')).toMatchObject({ outcome: 'aborted', code: 'TURN_ABORTED' });
    expect(broken).toEqual([]);
  });

  it('is not proven by a stream that brings nothing any more, and tells of none', async () => {
    const { broken, task } = await runPinned({
      scripts: [background(slowChild(20))],
      actions: [run('T0', 3000), { do: 'abort', key: 'T0', when: { point: 'ended', nth: 1, afterMs: 200 } }],
      faults: [{ what: 'cut', silent: true, forMs: 30_000, when: { point: 'child', nth: 1, afterMs: 0 } }],
    });
    expect(task('T0')).toMatchObject({ outcome: 'aborted', code: 'TURN_ABORTED' });
    expect(broken).toEqual([]);
  });
});

describe('retries', () => {
  it('are counted once, when reads have shown later ones before their events come', async () => {
    const refusal = { statusCode: 500, message: 'Internal server error', times: 6, afterMs: 1000 };
    const { broken, task } = await runPinned({
      scripts: [plainTurn({ beginMs: 3000 }), plainTurn({ steps: [answer('done', { refusal })] })],
      actions: [run('T0', 3000), run('T1', 3700, { script: 1 })],
      faults: [
        { what: 'lag', when: { atMs: 3200 }, lagMs: 3000, forMs: 20_000 },
        { what: 'dispose', when: { atMs: 3500 } },
      ],
    });
    expect(task('T1').call.result).toMatchObject({ outcome: 'failed', retries: 5 });
    expect(broken).toEqual([]);
  });
});

describe('an answer', () => {
  it.each([
    ['length', 'failed', 'ANSWER_TRUNCATED'],
    ['content-filter', 'failed', 'ANSWER_FILTERED'],
    ['error', 'failed', 'TURN_FAILED'],
  ])('that stopped for %s is %s', async (finish, outcome, code) => {
    const { broken, task } = await runPinned({ scripts: [plainTurn({ steps: [answer('half', { finish })] })], actions: [run('T0', 3000)] });
    expect(task('T0')).toMatchObject({ outcome, code });
    expect(broken).toEqual([]);
  });

  it('without text after a tool call is empty, unless the task allows it', async () => {
    const { steps } = withTool();
    const { broken, task } = await runPinned({
      scripts: [plainTurn({ steps: [steps[0]!, answer('', { text: [] })] })],
      actions: [run('T0', 3000), run('T1', 4000, { emptyAnswer: true })],
    });
    expect(task('T0')).toMatchObject({ outcome: 'failed', code: 'ANSWER_EMPTY' });
    expect(task('T1')).toMatchObject({ outcome: 'succeeded', output: '' });
    expect(broken).toEqual([]);
  });
});

describe('an ask', () => {
  const asking = (thinkMs: number) => withTool({ ask: { kind: 'permission', permission: 'bash', pattern: 'ls' } }, thinkMs);

  it('that opens while a read is under way is not forgotten', async () => {
    const { broken, task } = await runPinned({
      pool: { maxSessions: 1, permissions: 'escalate' },
      link: { ...calmLink, delayMs: [60, 60] },
      scripts: [asking(250)],
      actions: [run('T0', 3000)],
      faults: [{ what: 'cut', silent: false, forMs: 0, when: { point: 'begun', nth: 1, afterMs: 50 } }],
    });
    expect(task('T0')).toMatchObject({ outcome: 'needs_input', code: 'INPUT_NEEDED' });
    expect(task('T0').tookMs).toBeLessThan(90_000);
    expect(broken).toEqual([]);
  });

  it('of a sub-agent that somebody aborts does not hold up its turn', async () => {
    const child = plainTurn({ steps: asking(20).steps });
    const { broken, task } = await runPinned({
      pool: { maxSessions: 1, permissions: 30_000 },
      scripts: [withTool({ child })],
      actions: [run('T0', 3000)],
      faults: [{ what: 'abortsOutside', when: { point: 'ask', nth: 1, afterMs: 200 } }],
    });
    expect(task('T0').tookMs).toBeLessThan(5000);
    expect(broken).toEqual([]);
  });

  it('ends the turn in time while the stream is down', async () => {
    const { broken, task } = await runPinned({
      pool: { maxSessions: 1, permissions: 'escalate' },
      scripts: [asking(20)],
      actions: [run('T0', 3000)],
      faults: [{ what: 'cut', silent: false, forMs: 7_200_000, when: { point: 'ask', nth: 1, afterMs: 100 } }],
    });
    expect(task('T0')).toMatchObject({ outcome: 'needs_input', code: 'INPUT_NEEDED' });
    expect(task('T0').tookMs).toBeLessThan(120_000);
    expect(broken).toEqual([]);
  });
});

describe('a model that says nothing more', () => {
  it('is stalled in time while the stream is down', async () => {
    const { broken, task } = await runPinned({
      scripts: [plainTurn({ steps: [answer('half', { hangs: true })] })],
      actions: [run('T0', 3000)],
      faults: [{ what: 'cut', silent: false, forMs: 7_200_000, when: { point: 'begun', nth: 1, afterMs: 100 } }],
    });
    expect(task('T0')).toMatchObject({ outcome: 'stalled', code: 'TURN_STALLED' });
    expect(task('T0').tookMs).toBeLessThan(400_000);
    expect(broken).toEqual([]);
  });

  it('ends as stalled 300 s after its last activity, whatever is replayed after a gap', async () => {
    const { report, broken, task } = await runPinned({
      scripts: [withTool({ hangs: true })],
      actions: [run('T0', 3000)],
      faults: [{ what: 'cut', silent: false, forMs: 200_000, when: { point: 'accepted', nth: 1, afterMs: 0 } }],
    });
    expect(report.faults.get('stream-cut')).toBe(1);
    expect(task('T0')).toMatchObject({ outcome: 'stalled', code: 'TURN_STALLED' });
    expect(task('T0').tookMs).toBeLessThan(310_000);
    expect(broken).toEqual([]);
  });
});

describe('a loop', () => {
  const step = (input: string, output = 'same') =>
    answer('', { text: [], thinkMs: 20, tools: [tool({ input, output })], finish: 'tool-calls' });

  it.each([
    ['of steps that stop for tools and call none', [answer('', { text: [], finish: 'tool-calls' })], 0, 0],
    ['of one call with equal results', [step('a')], 10, 12],
    ['of two calls with equal results', [step('a'), step('b')], 20, 23],
    ['of three calls with equal results', [step('a'), step('b'), step('c')], 30, 34],
  ])('%s is a runaway', async (_, steps, least, most) => {
    const { broken, task } = await runPinned({ scripts: [plainTurn({ steps, loopsTo: 0 })], actions: [run('T0', 3000)] });
    expect(task('T0')).toMatchObject({ outcome: 'runaway', code: 'TURN_RUNAWAY' });
    expect(task('T0').call.result!.tool_calls).toBeGreaterThanOrEqual(least);
    expect(task('T0').call.result!.tool_calls).toBeLessThanOrEqual(most);
    expect(broken).toEqual([]);
  });

  it('of equal calls whose results change is none', async () => {
    const polls = Array.from({ length: 40 }, (_, index) => step('poll', `${index} %`));
    const { broken, task } = await runPinned({ scripts: [plainTurn({ steps: [...polls, answer()] })], actions: [run('T0', 3000)] });
    expect(task('T0')).toMatchObject({ outcome: 'succeeded', output: 'done' });
    expect(broken).toEqual([]);
  });
});
