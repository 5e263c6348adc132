import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  startScriptedModel,
  temporaryWorkspace,
  type Script,
  type ScriptedModel,
  type TemporaryWorkspace,
} from '@opencode-manager/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ViewBuilder } from '../src/run/view.ts';
import type { RunRecord } from '../src/trace/format.ts';
import { axeFaults } from './support/axe.ts';
import { openBrowser, type Browsing } from './support/browser.ts';
import { openLine, type Line } from './support/line.ts';
import { Ocm, originOf } from './support/ocm.ts';

/** What a turn on a real server may take here, while other work fills the machine. */
const turnMs = 60_000;

const hostile = 'Say <img src=x onerror="globalThis.hit = true"> and <script>globalThis.hit = true</script>';
const longAnswer = Array.from({ length: 2400 }, (_, index) => `word${index}`).join(' ');

const script: Script = {
  rules: [
    { when: { user: 'Read the hosts file', toolResult: /./ }, reply: 'I have read it.' },
    {
      when: { user: 'Read the hosts file' },
      reply: { text: 'I will read it.', toolCalls: [{ name: 'read', arguments: { filePath: '/etc/hosts' } }] },
    },
    // Long enough to be looked at; these turns are aborted from the page.
    { when: { user: 'Take your time' }, reply: { text: longAnswer, tokensPerSecond: 4 } },
    { when: { user: 'Say <img' }, reply: 'Here it is: <img src=x onerror="globalThis.hit = true">' },
  ],
  default: 'Done.',
};

const tasks = [
  { id: 'ask', prompt: 'Read the hosts file' },
  { id: 'hostile', prompt: hostile },
  ...[1, 2, 3].map((number) => ({ id: `slow-${number}`, prompt: `Take your time, ${number}` })),
  ...[1, 2, 3].map((number) => ({ id: `quick-${number}`, prompt: `Answer ${number}` })),
];

let directory: string;
let workspace: TemporaryWorkspace | undefined;
let model: ScriptedModel | undefined;
let line: Line;
let ocm: Ocm;
let browsing: Browsing;
const page = () => browsing.page;
const byTest = (id: string) => page().getByTestId(id);
const cellsIn = (path: string) => page().locator(`.cell[data-path="${path}"]`);
const logCount = async () => Number(await byTest('log-count').textContent());
const filterLog = (text: string) => page().getByRole('searchbox', { name: 'Filter events by text' }).fill(text);

/** What a request of the page itself carries. */
async function accessOfPage(): Promise<{ readonly authorization: string }> {
  return { authorization: `Bearer ${await page().evaluate(() => sessionStorage.getItem('ocm-playground-token'))}` };
}

/** How often the page lost its event stream and went on. */
async function reconnects(): Promise<number> {
  return Number(await byTest('mode').getAttribute('data-reconnects'));
}

beforeAll(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'ocm-playground-')));
  workspace = await temporaryWorkspace({ files: { 'README.md': '# Live\n' } });
  model = await startScriptedModel(script);
  const write = async (name: string, text: string) => {
    await writeFile(join(directory, name), text);
    return join(directory, name);
  };
  const file = await write('tasks.jsonl', tasks.map((task) => JSON.stringify(task)).join('\n'));
  const config = await write('opencode.json', JSON.stringify(model.opencodeConfig()));
  const rules = await write(
    'rules.json',
    JSON.stringify([
      { permission: 'external_directory', action: 'escalate' },
      { permission: '*', action: 'allow' },
    ]),
  );
  const args = [
    'run',
    file,
    '--json',
    '--concurrency',
    '8',
    '--opencode-config',
    config,
    '--permissions',
    rules,
    '--directory',
    workspace.path,
    '--run-dir',
    join(directory, 'run'),
  ];
  line = await openLine();
  browsing = await openBrowser({ proxyPort: line.port });
  ocm = new Ocm([...args, '--playground', '--allow-control', '--content']);
  line.target = Number(new URL(await ocm.pageUrl()).port);
  await page().goto(await ocm.pageUrl());
  await byTest('standing').waitFor();
}, 180_000);

afterAll(async () => {
  await browsing?.[Symbol.asyncDispose]();
  await line?.[Symbol.asyncDispose]();
  await ocm?.[Symbol.asyncDispose]();
  await model?.stop();
  await workspace?.remove();
  await rm(directory, { recursive: true, force: true });
}, 60_000);

describe('the page beside a real run', { timeout: 3 * turnMs }, () => {
  it('is a batch first, in which the task that asks comes first, and leads to its session', async () => {
    const first = page().locator('.task-body .task-row').first();
    await expect
      .poll(() => first.textContent(), { timeout: turnMs, message: 'the task that asks' })
      .toMatch(/^askwaits for an answer\d+ s1/);
    await first.getByRole('button').click();
    await expect
      .poll(() => byTest('conversation').textContent(), { timeout: turnMs, message: 'what was said so far' })
      .toBe('Read the hosts fileI will read it.');
    await page().getByRole('button', { name: 'Its session' }).click();
    expect(await byTest('chart-of').textContent()).toContain('active.awaitingInput');
  });

  // Early, because an ask waits a minute and no longer.
  it('answers a permission', async () => {
    await expect.poll(() => cellsIn('active.awaitingInput').count(), { timeout: turnMs, message: 'a turn that asks' }).toBe(1);
    await cellsIn('active.awaitingInput').click();
    await page().getByRole('tab', { name: 'Send' }).click();
    await byTest('allow').click();
    const result = () => ocm.lines.find(({ type, id }) => type === 'task.finished' && id === 'ask');
    await expect
      .poll(result, { timeout: turnMs, message: 'the result of the task that asked' })
      .toMatchObject({ outcome: 'succeeded', output: 'I have read it.', asks: [{ answer: 'allowed' }] });
    await expect.poll(() => cellsIn('active.awaitingInput').count(), { timeout: turnMs }).toBe(0);
  });

  it('sees eight sessions move through the states', async () => {
    expect(await byTest('mode').textContent()).toContain('Live');
    await expect.poll(() => page().locator('.cell').count(), { timeout: turnMs, message: 'sessions on the page' }).toBe(8);
    await expect.poll(() => cellsIn('dead.gone').count(), { timeout: turnMs, message: 'finished turns' }).toBe(5);
    await expect.poll(() => cellsIn('active.running').count(), { timeout: turnMs, message: 'turns that run' }).toBe(3);
    await filterLog('active.submitting');
    await expect.poll(logCount, { timeout: turnMs, message: 'turns that were submitted' }).toBe(8);
    await filterLog('');
    await expect.poll(() => byTest('server-state').textContent()).toBe('server ready');
  });

  it('names the very transitions, effects and changes of each event', async () => {
    await filterLog('turn.submit');
    await expect.poll(logCount, { timeout: turnMs, message: 'turns that were submitted' }).toBe(8);
    await page().locator('.rows tbody tr').first().click();
    const detail = () => byTest('detail').textContent();
    await expect.poll(detail, { timeout: turnMs }).toContain('Transitions: session.idle on turn.submit; asked for submitTurn');
    expect(await page().locator('.changes th').allTextContents()).toEqual(['turns', 'turn']);
    await page().getByRole('complementary', { name: 'Event details' }).getByRole('button', { name: 'Close' }).click();
    await filterLog('');
  });

  it('tells a run from which every session can be built again, with a transition for every change of state', async () => {
    const records = await readRecords(originOf(await ocm.pageUrl()), await accessOfPage());
    const moves = records.filter(({ path, type }) => path !== undefined && type !== 'xstate.init' && type !== 'earlier');
    expect(moves.filter(({ actor, transitions }) => actor !== 'stream' && !transitions)).toEqual([]);
    const builder = new ViewBuilder();
    for (const record of records) builder.apply(record);
    const { sessions, pool, server } = builder.view();
    expect(sessions.size).toBe(8);
    // The session of a task goes with its end: what was said is in the files of the run.
    const ended = [...sessions.values()].filter(({ path }) => path === 'dead.gone');
    expect(ended.length).toBe(5);
    for (const { usage } of ended) expect(usage).toEqual({ tokens: expect.any(Number), costUsd: null });
    for (const { context } of ended) expect(context).toMatchObject({ turn: null, turns: 1, lastTurn: { outcome: 'succeeded' } });
    expect(pool?.context).toMatchObject({ maxSessions: 8, queued: 0, restartLimits: { maxRestarts: expect.any(Number) } });
    expect(server).toMatchObject({ path: 'ready', context: { generation: 1, restarts: 0 } });
  });

  it('has no serious fault by axe in any view, light, dark and narrow', async () => {
    for (const name of ['Pool', 'Server', 'Sequence', 'Session', 'Faults', 'Context', 'Send']) {
      await page().getByRole('tab', { name, exact: true }).click();
      expect({ name, faults: await axeFaults(page()) }).toEqual({ name, faults: [] });
    }
    await byTest('theme').click();
    await expect.poll(() => axeFaults(page()), { timeout: turnMs, message: 'dark' }).toEqual([]);
    await byTest('theme').click();
    await page().setViewportSize({ width: 390, height: 844 });
    await expect.poll(() => page().evaluate(() => document.documentElement.scrollWidth), { timeout: turnMs }).toBeLessThanOrEqual(390);
    await expect.poll(() => axeFaults(page()), { timeout: turnMs, message: 'narrow' }).toEqual([]);
    await page().setViewportSize({ width: 1280, height: 800 });
  });

  it('shows a hostile prompt as text', async () => {
    await filterLog('onerror');
    await expect.poll(logCount, { timeout: turnMs, message: 'the hostile prompt in the log' }).toBeGreaterThan(0);
    await page().locator('.rows tbody tr').first().click();
    await expect.poll(() => byTest('detail').textContent(), { timeout: turnMs }).toContain('<img src=x onerror=');
    expect(await page().locator('img').count()).toBe(0);
    expect(await page().evaluate(() => 'hit' in globalThis)).toBe(false);
    await filterLog('');
    await page().getByRole('complementary', { name: 'Event details' }).getByRole('button', { name: 'Close' }).click();
  });

  it('shows a stream that is cut as reconciling', async () => {
    await cellsIn('active.running').first().click();
    await page().getByRole('button', { name: 'stream.gap' }).click();
    await byTest('send').click();
    await expect.poll(() => byTest('jump-gap').textContent(), { timeout: turnMs, message: 'a gap on the timeline' }).toBe('Gaps 1');
    await filterLog('active.reconciling');
    await expect.poll(logCount, { timeout: turnMs, message: 'sessions that reconcile' }).toBeGreaterThanOrEqual(3);
    await filterLog('');
    await expect.poll(() => byTest('stream-state').textContent(), { timeout: turnMs, message: 'the stream is back' }).toContain('live');
    await expect.poll(() => cellsIn('active.running').count(), { timeout: turnMs, message: 'turns that run on' }).toBe(3);
  });

  it('loses nothing over a reload', async () => {
    const before = await logCount();
    const complaints = [...browsing.complaints];
    await page().reload();
    await expect.poll(logCount, { timeout: turnMs, message: 'records after the reload' }).toBeGreaterThanOrEqual(before);
    expect(await page().locator('.cell').count()).toBe(8);
    await expect.poll(() => byTest('jump-gap').textContent()).toBe('Gaps 1');
    expect(complaints).toEqual([]);
  });

  it('goes on after a lost connection, with nothing lost and nothing twice', async () => {
    line.cut();
    await expect.poll(() => reconnects(), { timeout: turnMs, message: 'the page connects again' }).toBeGreaterThan(0);
    await expect.poll(() => byTest('mode').textContent(), { timeout: turnMs, message: 'the connection is back' }).toBe('Live · connected');
    const access = await accessOfPage();
    const same = async () => (await readRecords(originOf(await ocm.pageUrl()), access)).length - (await logCount());
    // The run goes on between the two looks, so they need not agree at once.
    await expect.poll(same, { timeout: turnMs, message: 'the page has as many records as the run' }).toBe(0);
    expect(await page().locator('.cell').count()).toBe(8);
  });

  it('continues an event stream behind the last record that was seen', async () => {
    const access = await accessOfPage();
    const origin = originOf(await ocm.pageUrl());
    const all = await readRecords(origin, access);
    expect(all.map(({ seq }) => seq)).toEqual(all.map((_, index) => index + 1));
    const seen = Math.floor(all.length / 2);
    const rest = await readRecords(origin, { ...access, 'last-event-id': String(seen) });
    expect(rest.slice(0, all.length - seen)).toEqual(all.slice(seen));
  });

  it('aborts turns, and hears of the end of the run', async () => {
    for (let turn = 3; turn > 0; turn -= 1) {
      await expect.poll(() => cellsIn('active.running').count(), { timeout: turnMs, message: `${turn} turns run` }).toBe(turn);
      await cellsIn('active.running').first().click();
      await page().getByRole('button', { name: 'turn.abort' }).click();
      await byTest('send').click();
    }
    await expect.poll(() => byTest('mode').textContent(), { timeout: turnMs, message: 'the end of the run' }).toBe('Live · run ended');
    expect(await ocm.exit).toBe(1);
    expect(ocm.lines.at(-1)).toMatchObject({ type: 'done', total: 8, succeeded: 5, aborted: 3, clean: true });
    await expect.poll(() => byTest('server-state').textContent(), { timeout: turnMs }).toBe('server stopped');
    // After the run the page still holds it all: back to its beginning.
    await byTest('scrubber').fill('1');
    await expect.poll(() => page().locator('.cell').count(), { timeout: turnMs }).toBe(0);
    // The browser itself tells of the connection that was cut.
    expect(browsing.complaints.filter((text) => !text.startsWith('Failed to load resource: net::ERR_'))).toEqual([]);
  });
});

/** What the event stream holds at once: it ends with the first message of the history that is not full. */
async function readRecords(origin: string, headers: Record<string, string>): Promise<RunRecord[]> {
  const stop = new AbortController();
  const response = await fetch(`${origin}/events`, { headers, signal: AbortSignal.any([stop.signal, AbortSignal.timeout(turnMs)]) });
  let text = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream()) as unknown as AsyncIterable<string>) {
    text += chunk;
    const data = /event: records\ndata: (.*)\n\n/.exec(text);
    if (!data) continue;
    stop.abort();
    return JSON.parse(data[1]!) as RunRecord[];
  }
  throw new Error('the event stream ended without a record');
}
