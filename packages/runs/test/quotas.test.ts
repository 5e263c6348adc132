import { startScriptedModel, temporaryWorkspace, type ScriptedModel, type TemporaryWorkspace } from '@opencode-manager/testing';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openRun, resumeRun, type JournalRow, type Run, type RunOptions, type RunTaskSpec } from '../src/index.ts';
import { scratch, type Scratch } from './support/scratch.ts';

const resetSeconds = 4;

let spent: ScriptedModel;
let free: ScriptedModel;
let workspace: TemporaryWorkspace;
let place: Scratch;
beforeAll(async () => {
  const refusal = { error: { status: 429, message: 'Rate limit reached', retryAfterSeconds: resetSeconds } };
  spent = await startScriptedModel({
    rules: [
      { name: 'refused', when: { user: /^do/ }, reply: refusal, times: 2 },
      { name: 'says', when: { user: /.*/ }, reply: 'It is done.' },
    ],
  });
  free = await startScriptedModel({ rules: [{ name: 'says', when: { user: /.*/ }, reply: 'It is done.' }] });
  workspace = await temporaryWorkspace({ files: { 'a.txt': 'a\n' } });
  place = scratch();
});
afterAll(async () => {
  place?.[Symbol.dispose]();
  await workspace?.[Symbol.asyncDispose]();
  await Promise.all([spent?.stop(), free?.stop()]);
});

const tasks: readonly RunTaskSpec[] = ['a1', 'a2', 'b1', 'b2', 'b3'].map((id) => ({
  id,
  prompt: `do ${id}`,
  model: `${id.startsWith('a') ? 'alpha' : 'beta'}/model`,
}));

function options(): Omit<RunOptions, 'runDir'> {
  const [alpha, beta] = [spent.opencodeConfig(), free.opencodeConfig()].map(({ provider }) => provider['scripted']);
  const names = { model: 'alpha/model', small_model: 'beta/small', enabled_providers: ['alpha', 'beta'] };
  return {
    tasks,
    directory: workspace.path,
    server: { opencodeConfig: { ...names, provider: { alpha, beta } } },
    pool: { maxRetryWaitMs: 1000 },
    settings: { concurrency: 2, quota: { marginMs: 100, jitterMs: 100, longestMs: 60_000 } },
  };
}

async function rowsOf(run: Run): Promise<readonly JournalRow[]> {
  const rows: JournalRow[] = [];
  for await (const row of run.events()) rows.push(row);
  return rows;
}

test('a spent quota holds no task of another provider, and a later manager goes on in the same sessions when it is free again', async () => {
  const path = join(place.path, 'quota');
  const run = await openRun({ ...options(), runDir: path });
  await expect.poll(() => run.counts().outcomes, { timeout: 20_000 }).toEqual({ quota_exhausted: 2, succeeded: 3 });
  expect(run.holding()).toMatch(/^held by alpha until \d\d:\d\d \(in [1-4] s\)$/);
  expect(run.providers()).toMatchObject([
    { id: 'alpha', running: 0, waiting: 2, isPaused: false },
    { id: 'beta', running: 0, waiting: 0, heldUntilMs: null },
  ]);
  expect(() => run.pauseProvider('gamma')).toThrow(expect.objectContaining({ code: 'PROVIDER_UNKNOWN' }));
  run.abort('The test ends this manager.');
  expect((await run.ended).reason).toBe('aborted');

  const next = await resumeRun({ ...options(), run: path });
  const rows = await rowsOf(next);
  const summary = await next.ended;
  expect([summary.reason, summary.counts.outcomes]).toEqual(['done', { succeeded: 5 }]);
  const sessions = new Set<string>();
  let parkedMs = 0;
  for (const key of ['a1', 'a2']) {
    const own = rows.flatMap(({ event, atMs }) => ('key' in event && event.key === key ? [{ event, atMs }] : []));
    const intents = own.flatMap(({ event, atMs }) => (event.type === 'attempt.intended' ? [{ ...event, atMs }] : []));
    const ends = own.flatMap(({ event }) => (event.type === 'attempt.ended' ? [event] : []));
    expect(ends.map(({ outcome, final, continues }) => [outcome, final, continues])).toEqual([
      ['quota_exhausted', false, undefined],
      ['succeeded', true, 1],
    ]);
    expect(intents[1]!.sessionId).toBe(intents[0]!.sessionId);
    expect(intents[1]!.atMs).toBeGreaterThanOrEqual(Date.parse(ends[0]!.result.reset_at!));
    const { model_calls: calls, parked_ms: parked = 0, duration_ms: worked } = ends[1]!.result;
    expect([calls, parked >= 1000 * (resetSeconds - 1)]).toEqual([2, true]);
    // The park is no part of the work.
    expect(worked).toBeLessThan(parked);
    sessions.add(intents[0]!.sessionId);
    parkedMs += parked;
  }
  expect([sessions.size, summary.totals.parkedMs]).toEqual([2, parkedMs]);
  // Both parts of a task once: refused, then the word to go on behind what was asked first.
  const asked = spent.calls
    .filter(({ purpose }) => purpose === 'turn')
    .map(({ messages }) => messages.filter(({ role }) => role === 'user'));
  expect(asked.map((messages) => messages.length).toSorted((a, b) => a - b)).toEqual([1, 1, 2, 2]);
});

test('a fallback that the server does not have is refused before anything is sent', async () => {
  const before = free.calls.length + spent.calls.length;
  const settings = { onQuota: { fallback: 'beta/nothing' } };
  await expect(openRun({ ...options(), settings, runDir: false })).rejects.toMatchObject({
    code: 'MODEL_UNKNOWN',
    message: expect.stringMatching(/^onQuota: the fallback cannot be used\. model: beta\/nothing/) as string,
  });
  expect(free.calls.length + spent.calls.length).toBe(before);
  await expect(openRun({ ...options(), settings: { onQuota: { fallback: 'beta' } }, runDir: false })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
  });
});
