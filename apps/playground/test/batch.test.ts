import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BatchHead, BatchRow } from '../src/batch/format.ts';
import { whyNothingStarts } from '../src/batch/why.ts';
import { axeFaults } from './support/axe.ts';
import { openBrowser, type Browsing } from './support/browser.ts';
import { makeLiveRun, type MadeRun } from './support/made-run.ts';
import { Ocm, originOf } from './support/ocm.ts';

/** What the page may take to show what a run's files say, while other work fills the machine. */
const shownMs = 30_000;

/** More than one message of the feed holds. */
const total = 1200;

let directory: string;
let run: MadeRun;
let ocm: Ocm;
let browsing: Browsing;
const page = () => browsing.page;
const byTest = (id: string) => page().getByTestId(id);
const rows = () => page().locator('.task-body .task-row');
const rowOf = (key: string) => rows().filter({ has: page().getByRole('button', { name: key, exact: true }) });
const chip = (name: RegExp) => page().getByRole('group', { name: 'Filter tasks by state' }).getByRole('button', { name });

/** The cells of the first rows in sight. */
async function firstRows(count: number): Promise<string[][]> {
  const inOrder = (await rows().all()).slice(0, count);
  return Promise.all(inOrder.map((row) => row.getByRole('cell').allTextContents()));
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocm-playground-'));
  run = await makeLiveRun(join(directory, 'repository'), total);
  ocm = new Ocm(['playground', '--run', run.path, '--json', '--content']);
  browsing = await openBrowser();
  await page().goto(await ocm.pageUrl());
  await rows().first().waitFor();
}, 120_000);

afterAll(async () => {
  await browsing?.[Symbol.asyncDispose]();
  await ocm?.[Symbol.asyncDispose]();
  await run?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
}, 60_000);

describe('the page of a run', { timeout: 120_000 }, () => {
  it('shows what is in flight first, then what waits, then failures, and draws no more rows than are in sight', async () => {
    expect(await byTest('standing').textContent()).toBe('live');
    expect(await byTest('why').textContent()).toBe('All 3 slots are busy; 22 tasks are left.');
    const first = await firstRows(6);
    expect(first.map(([key, state]) => [key, state])).toEqual([
      ['test-01178', 'runs'],
      ['docs-01179', 'runs'],
      ['types-01180', 'runs'],
      ['types-01176', expect.stringMatching(/^waits for quota until (?:\w+ \d+, )?\d\d:\d\d$/)],
      ['fix-01177', expect.stringMatching(/^waits for quota until (?:\w+ \d+, )?\d\d:\d\d$/)],
      ['docs-01063', 'timed out'],
    ]);
    const [attempt, tokens, cost, error] = first[5]!.slice(3);
    expect({ attempt, error }).toEqual({ attempt: '1', error: 'TURN_TIMEOUT: The model gave up on docs-01063.' });
    expect([tokens, cost]).toEqual([expect.stringMatching(/^[\d,]{5,6}$/), expect.stringMatching(/^\$0\.0\d\d$/)]);
    expect(await page().getByRole('table').getAttribute('aria-rowcount')).toBe(String(total + 1));
    expect(await rows().count()).toBeLessThan(60);
    await expect.poll(() => byTest('figures').textContent()).toMatch(/^tokens[\d,]+cost\$\d+\.\d\dtime\d+ s$/);
  });

  it('goes from row to row by keyboard, with the place of each', async () => {
    await rows().first().getByRole('button').focus();
    await page().keyboard.press('End');
    const focused = page().locator('.task-row:has(:focus)');
    await expect.poll(() => focused.getAttribute('aria-rowindex')).toBe(String(total + 1));
    await page().keyboard.press('Home');
    await page().keyboard.press('ArrowDown');
    await expect.poll(() => focused.getAttribute('aria-rowindex')).toBe('3');
    expect(await focused.getAttribute('aria-current')).toBe('true');
    await expect.poll(() => byTest('task').textContent(), { timeout: shownMs }).toMatch(/docs-01179.*Attempt 1 begun \d+ s ago/);
  });

  it('follows the run, and reads the conversation of a task that has ended', async () => {
    expect(await chip(/^failed/).textContent()).toBe('failed 13');
    run.end('docs-01179');
    await expect.poll(() => chip(/^failed/).textContent(), { timeout: shownMs, message: 'the end of a task' }).toBe('failed 14');
    await expect.poll(() => byTest('why').textContent()).toBe('');
    const lines = byTest('conversation').getByRole('listitem');
    await expect.poll(() => lines.count(), { timeout: shownMs, message: 'its conversation' }).toBe(7);
    expect(await lines.first().textContent()).toContain('Look at the parser');
    expect(await lines.nth(2).textContent()).toContain('read completed · 840 ms');
    expect(await lines.nth(4).textContent()).toContain('grep (sub-agent)');
    expect(await lines.last().textContent()).toBe('Asked for bash npm test: allowed');
    await page().reload();
    await expect.poll(() => chip(/^failed/).textContent(), { timeout: shownMs }).toBe('failed 14');
  });

  it('filters by state and by text', async () => {
    await chip(/^timed out/).click();
    await page().getByRole('searchbox', { name: 'Filter tasks by key or error' }).fill('turn_timeout: nothing');
    await page().getByText('No task matches.').waitFor();
    await page().getByRole('searchbox', { name: 'Filter tasks by key or error' }).fill('TURN_TIMEOUT');
    await expect.poll(() => rows().count()).toBe(6);
    await chip(/^all/).click();
    await page().getByRole('searchbox', { name: 'Filter tasks by key or error' }).fill('fix-00001');
    await rowOf('fix-00001').click();
    await expect.poll(() => byTest('answer').textContent(), { timeout: shownMs }).toContain('The nested case of fix-00001 is corrected');
  });

  it('has no serious fault by axe, light, dark and narrow', async () => {
    expect(await axeFaults(page())).toEqual([]);
    await byTest('theme').click();
    expect(await axeFaults(page())).toEqual([]);
    await page().setViewportSize({ width: 390, height: 844 });
    expect(await axeFaults(page())).toEqual([]);
    await page().getByRole('button', { name: 'Close' }).click();
    expect(await axeFaults(page())).toEqual([]);
    expect(await page().evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
    await page().setViewportSize({ width: 1280, height: 800 });
  });

  it('tells no page without --content what was said', async () => {
    await using plain = new Ocm(['playground', '--run', run.path, '--json']);
    const url = await plain.pageUrl();
    const origin = originOf(url);
    const ticket = new URLSearchParams(new URL(url).hash.slice(1)).get('token');
    const entered = await fetch(`${origin}/enter`, { method: 'POST', headers: { origin, authorization: `Bearer ${ticket}` } });
    const headers = { authorization: `Bearer ${((await entered.json()) as { token: string }).token}` };
    const task = await fetch(`${origin}/task?key=fix-01073`, { headers });
    expect(await task.json()).toMatchObject({
      attempt: 1,
      answer: null,
      transcript: 'hidden',
      lines: [],
      attempts: [{ error: { code: 'TURN_FAILED' } }],
    });
    const stop = new AbortController();
    const feed = await fetch(`${origin}/batch`, { headers, signal: stop.signal });
    let told = '';
    for await (const chunk of feed.body!.pipeThrough(new TextDecoderStream()) as unknown as AsyncIterable<string>) {
      told += chunk;
      if (told.includes('event: whole')) break;
    }
    stop.abort();
    expect(told).toContain('"key":"fix-01073"');
    expect(told).not.toMatch(/gave up|parser/);
    expect((await fetch(`${origin}/task?key=fix-01073`)).status).toBe(401);
  });

  it('says that the process is gone, and keeps what was said', async () => {
    await run.kill();
    await expect.poll(() => byTest('standing').textContent(), { timeout: shownMs, message: 'the end of the process' }).toBe('interrupted');
    expect(await byTest('why').textContent()).toBe(
      '22 tasks are left, and the process that had the run is gone. ocm resume goes on with it.',
    );
    await chip(/^interrupted/).waitFor();
    await rowOf('fix-00001').click();
    await expect.poll(() => byTest('conversation').textContent(), { timeout: shownMs }).toContain('I read the parser first.');
    expect(browsing.complaints).toEqual([]);
  });
});

describe('why nothing starts', () => {
  const head = { standing: 'live', concurrency: null } as BatchHead;
  const rowsOf = (...list: Partial<BatchRow>[]) =>
    new Map(list.map((row, index) => [row.key ?? `t${index}`, { key: `t${index}`, after: [], resetAtMs: null, ...row } as BatchRow]));

  it('names what stands in the way, and says nothing when a task is free to start', () => {
    const waits = rowsOf({ key: 'a', state: 'failed' }, { state: 'not_started', after: ['a'] });
    expect(whyNothingStarts(head, waits, undefined, 0)?.text).toBe('Nothing starts: 1 task waits for others to succeed.');
    expect(whyNothingStarts(head, rowsOf({ state: 'not_started' }), undefined, 0)).toBeNull();
    expect(whyNothingStarts(head, rowsOf({ state: 'waiting' }), undefined, 0)?.text).toBe(
      'Nothing starts: tasks wait before their next attempt.',
    );
    const pool = { path: 'running', providers: [{ id: 'alpha', heldUntilMs: Date.parse('2026-01-01T12:04:00') }] };
    const nowMs = Date.parse('2026-01-01T12:00:00');
    expect(whyNothingStarts(head, rowsOf({ state: 'not_started' }), pool, nowMs)?.text).toBe(
      'Nothing starts: provider alpha is held until 12:04.',
    );
  });
});
