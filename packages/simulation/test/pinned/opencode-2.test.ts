import { describe, expect, it } from 'vitest';
import {
  answer,
  plainTurn,
  type Action,
  type Fault,
  type StepScript,
  type TaskPlan,
  type ToolScript,
  type TurnScript,
} from '../../src/index.ts';
import { runPinned } from '../support/pinned.ts';

const run = (task: Partial<TaskPlan> = {}): Action => ({ do: 'run', when: { atMs: 3000 }, key: 'T0', task: { script: 0, ...task } });

/** A tool sets something to work, the turn says that it has done so, and ends. */
const withBackground = (more: Partial<ToolScript>, first: Partial<StepScript> = {}): TurnScript => {
  const tool: ToolScript = { tool: 'bash', input: 'make', output: 'made', forMs: 9000, background: true, ...more };
  return plainTurn({
    steps: [answer('', { text: [], tools: [tool], finish: 'tool-calls', ...first }), answer('begun ', { thinkMs: 1000 })],
  });
};

/** Work of a sub-agent. */
const child = { tool: 'task', child: plainTurn({ steps: [answer('child', { thinkMs: 9000 })] }) };

const cut = (atMs: number, forMs: number): Fault => ({ what: 'cut', silent: false, when: { atMs }, forMs });

const runV2 = (script: TurnScript, more: { readonly actions?: readonly Action[]; readonly faults?: readonly Fault[] } = {}) =>
  runPinned({ protocol: 'v2', scripts: [script], actions: [run()], ...more });

describe('a turn of opencode 2 with work in the background', () => {
  it.each([
    ['a shell line', withBackground({})],
    ['a sub-agent', withBackground(child)],
  ])('is over when the end of %s was told and answered', async (_, script) => {
    const { broken, task, report } = await runV2(script);
    expect(task('T0')).toMatchObject({ outcome: 'succeeded', output: 'It is done. ' });
    expect(task('T0').tookMs).toBeGreaterThan(9000);
    expect(report.faults.get('turn-rests')).toBe(1);
    expect(broken).toEqual([]);
  });

  it('is not over with its first execution when the begin of the work was told in a gap', async () => {
    const { broken, task } = await runV2(withBackground({}, { thinkMs: 400 }), { faults: [cut(3300, 300)] });
    expect(task('T0')).toMatchObject({ outcome: 'succeeded', output: 'It is done. ' });
    expect(broken).toEqual([]);
  });

  it('is not given up while it rests and reads alone tell of it', async () => {
    const { broken, task } = await runV2(withBackground({}), { faults: [cut(3050, 30_000)] });
    expect(task('T0')).toMatchObject({ outcome: 'succeeded', output: 'It is done. ' });
    expect(broken).toEqual([]);
  });

  it('leaves nothing at work when it is aborted', async () => {
    const actions: Action[] = [run(), { do: 'abort', when: { atMs: 3500 }, key: 'T0' }];
    for (const script of [withBackground({}), withBackground(child)]) {
      const { broken, task } = await runV2(script, { actions });
      expect(task('T0')).toMatchObject({ outcome: 'aborted' });
      expect(task('T0').tookMs).toBeLessThan(3000);
      expect(broken).toEqual([]);
    }
  });
});

describe('a provider of opencode 2 that refuses', () => {
  const refused = (more: Partial<NonNullable<StepScript['refusal']>>): TurnScript =>
    plainTurn({ steps: [answer('done', { refusal: { statusCode: 500, message: 'busy', times: 3, afterMs: 0, ...more } })] });

  it('is counted once a call, though a call whose stream broke off is repeated in another message', async () => {
    const { broken, task } = await runV2(refused({ brokenText: 'half a sen' }));
    expect(task('T0')).toMatchObject({ outcome: 'succeeded', output: 'done' });
    expect(task('T0').call.result).toMatchObject({ model_calls: 4, retries: 3 });
    expect(broken).toEqual([]);
  });

  it('is heard of after a gap in which the turn began', async () => {
    const { broken, task } = await runV2(refused({ times: 8 }), { faults: [cut(3015, 2500)] });
    expect(task('T0')).toMatchObject({ outcome: 'failed', code: 'TURN_FAILED' });
    expect(broken).toEqual([]);
  });

  it('is not thought to answer because the status says busy', async () => {
    const { broken } = await runV2(refused({ times: 5 }), { faults: [cut(10_000, 300)] });
    expect(broken).toEqual([]);
  });
});

describe('a prompt of opencode 2', () => {
  it('is taken back when it is aborted before its turn begins', async () => {
    const actions: Action[] = [run(), { do: 'abort', when: { atMs: 3500 }, key: 'T0' }];
    const { broken, task, report } = await runV2(plainTurn({ beginMs: 9000 }), { actions });
    expect(task('T0')).toMatchObject({ outcome: 'aborted' });
    expect(task('T0').tookMs).toBeLessThan(3000);
    expect(report.history.filter((line) => line.includes('finished'))).toEqual([]);
    expect(broken).toEqual([]);
  });

  it('is sent once more when it was not answered, and is taken once', async () => {
    const link = { delayMs: [2, 6] as const, slow: 0, slowMs: 0, lostRequest: 0, lostAnswer: 0.2, brokenAnswer: 0, refusal: 0, doubled: 0 };
    const scripts = [plainTurn({ steps: [answer('done', { thinkMs: 20_000 })] })];
    let repeated = 0;
    for (let seed = 1; seed <= 40; seed += 1) {
      const { broken, report } = await runPinned({ protocol: 'v2', seed, link, scripts, actions: [run()] });
      repeated += report.faults.get('prompt-repeated') ?? 0;
      expect(broken).toEqual([]);
    }
    expect(repeated).toBeGreaterThan(0);
  });
});
