import { describe, expect, it } from 'vitest';
import { answer, plainTurn, type Action, type TaskPlan } from '../../src/index.ts';
import { runPinned } from '../support/pinned.ts';

const run = (key: string, atMs: number, task: Partial<TaskPlan> = {}): Action => ({
  do: 'run',
  when: { atMs },
  key,
  task: { script: 0, ...task },
});

const slow = plainTurn({ steps: [answer('done', { thinkMs: 5000 })] });

describe('a leased session', () => {
  it('that is deleted while its prompt waits for a slot settles the prompt', async () => {
    const { broken, task } = await runPinned({
      pool: { maxSessions: 1, permissions: 'allow' },
      scripts: [slow],
      actions: [
        { do: 'lease', when: { atMs: 3000 }, key: 'L0', how: 'create' },
        run('T0', 3200),
        { do: 'prompt', when: { atMs: 3400 }, lease: 'L0', key: 'L0.0', task: { script: 0 } },
        { do: 'delete', when: { atMs: 3600 }, lease: 'L0' },
      ],
    });
    expect(task('T0')).toMatchObject({ outcome: 'succeeded', output: 'done' });
    expect(task('L0.0')).toMatchObject({ outcome: 'aborted' });
    expect(broken).toEqual([]);
  });
});

describe('an abort', () => {
  it('before the turn begins is followed until the turn has ended', async () => {
    const { report, broken, task } = await runPinned({
      scripts: [plainTurn({ beginMs: 3000, steps: [answer('done', { thinkMs: 20_000 })] })],
      actions: [run('T0', 3000), { do: 'abort', key: 'T0', when: { point: 'accepted', nth: 1, afterMs: 50 } }],
    });
    expect(task('T0')).toMatchObject({ outcome: 'aborted', code: 'TURN_ABORTED' });
    expect(report.faults.get('abort-before-begin')).toBeGreaterThan(0);
    expect(broken).toEqual([]);
  });

  it('of a turn that begins after its result was told is sent again', async () => {
    const { broken, task } = await runPinned({
      scripts: [plainTurn({ beginMs: 45_000, steps: [answer('done', { thinkMs: 20_000 })] })],
      actions: [run('T0', 3000), { do: 'abort', key: 'T0', when: { point: 'accepted', nth: 1, afterMs: 50 } }],
    });
    expect(task('T0')).toMatchObject({ outcome: 'aborted', code: 'TURN_ABORTED' });
    expect(task('T0').tookMs).toBeLessThan(40_000);
    expect(broken).toEqual([]);
  });

  it('of a task whose server was lost does not say that nothing was sent', async () => {
    const { broken, task } = await runPinned({
      scripts: [slow],
      actions: [run('T0', 3000), { do: 'abort', key: 'T0', when: { point: 'step', nth: 1, afterMs: 600 } }],
      faults: [{ what: 'kill', when: { point: 'step', nth: 1, afterMs: 200 } }],
    });
    expect(task('T0')).toMatchObject({ outcome: 'aborted', code: 'TURN_ABORTED' });
    expect(broken).toEqual([]);
  });
});

describe('a session that is deleted twice before its turn begins', () => {
  it('is followed until the turn has ended', async () => {
    const { broken, task } = await runPinned({
      scripts: [
        plainTurn({ beginMs: 100, steps: [answer('done', { thinkMs: 4000 })] }),
        plainTurn({ steps: [answer('done', { thinkMs: 60_000 })] }),
      ],
      // The other task keeps the server.
      actions: [run('T0', 3000), run('T1', 3010, { script: 1 })],
      faults: [20, 40].map((afterMs) => ({ what: 'deletesOutside', when: { point: 'accepted', nth: 1, afterMs } })),
    });
    expect(task('T0')).toMatchObject({ outcome: 'interrupted', code: 'TURN_INTERRUPTED' });
    expect(broken).toEqual([]);
  });
});

describe('a session that is deleted while no event tells of it', () => {
  it('interrupts its turn as soon as the stream is known to be down', async () => {
    const { broken, task } = await runPinned({
      scripts: [plainTurn({ steps: [answer('done', { thinkMs: 600_000 })] })],
      actions: [run('T0', 3000)],
      faults: [
        { what: 'cut', silent: false, forMs: 600_000, when: { point: 'begun', nth: 1, afterMs: 100 } },
        { what: 'deletesOutside', when: { point: 'begun', nth: 1, afterMs: 4000 } },
      ],
    });
    expect(task('T0')).toMatchObject({ outcome: 'interrupted', code: 'TURN_INTERRUPTED' });
    expect(task('T0').tookMs).toBeLessThan(20_000);
    expect(broken).toEqual([]);
  });
});

describe('a sub-agent that is deleted', () => {
  it('does not keep its turn from being read', async () => {
    const child = plainTurn({ steps: [answer('done', { thinkMs: 20_000 })] });
    const delegating = answer('', {
      text: [],
      tools: [{ tool: 'task', input: 'in', output: 'out', forMs: 20, background: true, child }],
      finish: 'tool-calls',
    });
    const { broken, task } = await runPinned({
      scripts: [plainTurn({ steps: [delegating, answer()] })],
      actions: [run('T0', 3000)],
      faults: [
        { what: 'deletesOutside', when: { point: 'ended', nth: 1, afterMs: 500 } },
        { what: 'cut', silent: false, forMs: 600_000, when: { point: 'ended', nth: 1, afterMs: 400 } },
      ],
    });
    expect(task('T0')).toMatchObject({ outcome: 'succeeded', output: 'done' });
    expect(task('T0').tookMs).toBeLessThan(60_000);
    expect(broken).toEqual([]);
  });
});

describe('a prompt of which nothing comes', () => {
  it('is interrupted after a gap, and not sent again', async () => {
    const { broken, task } = await runPinned({
      scripts: [plainTurn({ neverBegins: true })],
      actions: [run('T0', 3000)],
      faults: [{ what: 'cut', silent: false, forMs: 200, when: { point: 'accepted', nth: 1, afterMs: 50 } }],
    });
    expect(task('T0')).toMatchObject({ outcome: 'interrupted', code: 'TURN_INTERRUPTED' });
    expect(task('T0').call.result!.attempt).toBe(1);
    expect(task('T0').tookMs).toBeGreaterThan(25_000);
    expect(broken).toEqual([]);
  });
});

describe('a server that dies before the pool is there', () => {
  it('fails the start of the pool, or is started again', async () => {
    const { broken } = await runPinned({ faults: [{ what: 'kill', when: { point: 'launched', nth: 1, afterMs: 1 } }] });
    expect(broken).toEqual([]);
  });
});

describe('a provider that refuses', () => {
  it('holds back its own tasks alone', async () => {
    const refused = answer('done', { refusal: { statusCode: 429, message: 'Rate limit reached', times: 1, afterMs: 15_000 } });
    const { broken, task } = await runPinned({
      scripts: [plainTurn({ steps: [refused] }), plainTurn()],
      actions: [run('T0', 3000), run('T1', 3500, { script: 1, provider: 'beta' }), run('T2', 3600, { script: 1 })],
    });
    expect(task('T0')).toMatchObject({ outcome: 'succeeded', output: 'done' });
    expect(task('T1')).toMatchObject({ outcome: 'succeeded', output: 'done' });
    expect(task('T1').tookMs).toBeLessThan(3000);
    expect(task('T2').tookMs).toBeGreaterThan(10_000);
    expect(broken).toEqual([]);
  });

  it('holds back no shell line, which asks no provider', async () => {
    const refused = answer('done', { refusal: { statusCode: 500, message: 'Internal server error', times: 1, afterMs: 300_000 } });
    const { broken, task } = await runPinned({
      pool: { maxSessions: 1, permissions: 'allow' },
      scripts: [plainTurn({ steps: [refused] }), plainTurn()],
      actions: [run('T0', 3000), run('T1', 4000, { script: 1, kind: 'shell' })],
    });
    expect(task('T0')).toMatchObject({ outcome: 'failed', code: 'TURN_FAILED' });
    expect(task('T1')).toMatchObject({ outcome: 'succeeded' });
    expect(task('T1').tookMs).toBeLessThan(3000);
    expect(broken).toEqual([]);
  });
});
