import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { axeFaults } from './support/axe.ts';
import { openBrowser, type Browsing } from './support/browser.ts';
import { Ocm, originOf } from './support/ocm.ts';

let ocm: Ocm;
let browsing: Browsing;
const page = () => browsing.page;
const byTest = (id: string) => page().getByTestId(id);
const pathOfChosen = () => byTest('chosen-path').first().textContent();

beforeAll(async () => {
  ocm = new Ocm(['playground', '--simulate', '--json']);
  browsing = await openBrowser();
  await page().goto(await ocm.pageUrl());
  await byTest('chart').waitFor();
}, 120_000);

afterAll(async () => {
  await browsing[Symbol.asyncDispose]();
  await ocm[Symbol.asyncDispose]();
});

/** Starts a scenario that stands still, to be stepped by the test. */
async function standStill(scenario: string): Promise<void> {
  // Slowly, so that little of the story has happened when the pause comes.
  await byTest('speed').selectOption('0.25');
  await byTest('scenario').selectOption(scenario);
  await page().getByRole('button', { name: 'Restart' }).click();
  if ((await byTest('play').textContent()) === 'Pause') await byTest('play').click();
  await expect.poll(() => byTest('play').textContent(), { timeout: 20_000 }).toBe('Play');
}

/** What was done is drawn with the next frame: a look before that would see the moment before. */
async function drawn(): Promise<void> {
  await page().evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

/** Steps until something is true of the page. */
async function stepUntil(what: string, holds: () => Promise<boolean>, limit = 400): Promise<void> {
  for (let step = 0; step < limit; step += 1) {
    await drawn();
    if (await holds()) return;
    // Without the looks that a click takes first, which cost two frames each time.
    await byTest('step').dispatchEvent('click');
  }
  throw new Error(`not reached in ${limit} steps: ${what}`);
}

/** Does not wait for the list to be there. */
async function outcomes(): Promise<string> {
  return (await page().locator('.outcomes').allTextContents()).join('');
}

describe('the page in simulation', { timeout: 180_000 }, () => {
  it('starts at once, takes the token out of the address and complains of nothing', async () => {
    expect(page().url()).toBe(`${originOf(await ocm.pageUrl())}/`);
    expect(await byTest('mode').textContent()).toBe('Simulation');
    expect(await page().locator('[data-node="active.running"]').count()).toBe(1);
    expect(browsing.complaints).toEqual([]);
  });

  it('walks a session to its quarantine, and back in time', async () => {
    await standStill('quarantine');
    await byTest('step').click();
    await stepUntil('a dead session', async () => (await page().locator('.cell[data-path="dead.quarantined"]').count()) === 1);
    await expect.poll(pathOfChosen, { timeout: 20_000 }).toBe('dead.quarantined');
    expect(await page().locator('[data-node="dead.quarantined"][data-leaf="true"]').count()).toBe(1);
    const atTheEnd = Number(await byTest('log-count').textContent());
    await byTest('scrubber').focus();
    await page().keyboard.press('Home');
    for (let presses = 0; presses < 60 && (await page().locator('.cell[data-path="active.running"]').count()) === 0; presses += 1) {
      await page().keyboard.press('ArrowRight');
      await drawn();
    }
    await expect.poll(pathOfChosen, { timeout: 20_000 }).toBe('active.running');
    expect(await page().locator('[data-node="active.running"][data-leaf="true"]').count()).toBe(1);
    expect(await page().locator('.cell[data-path="active.running"]').count()).toBe(1);
    expect(Number(await byTest('log-count').textContent())).toBeLessThan(atTheEnd);
    await byTest('now').click();
    await expect.poll(pathOfChosen, { timeout: 20_000 }).toBe('dead.quarantined');
    await byTest('jump-error').click();
    await expect.poll(() => byTest('detail').textContent(), { timeout: 20_000 }).toContain('quarantine.due');
  });

  it('sends what the send box holds to the machine', async () => {
    await standStill('hand');
    // The pause may have come before the session.
    await stepUntil('a session', async () => (await page().locator('.cell').count()) > 0);
    await page().getByRole('button', { name: 'turn.submit' }).click();
    expect(JSON.parse(await byTest('payload').inputValue())).toEqual({ prompt: 'Say hello in one sentence.' });
    await byTest('payload').fill('{');
    await expect.poll(() => byTest('send').isDisabled(), { timeout: 20_000 }).toBe(true);
    await byTest('payload').fill('{"prompt":"mine"}');
    await byTest('send').click();
    await stepUntil('the prompt is sent', async () => (await pathOfChosen()) === 'active.submitting');
    await page().getByRole('button', { name: 'after submitTimeout' }).click();
    await byTest('send').click();
    await expect.poll(pathOfChosen, { timeout: 20_000 }).toBe('active.reconciling');
    // The chart keeps the way that led here, whatever else comes and leaves the state as it is.
    await page().getByRole('button', { name: 'session.busy' }).click();
    await byTest('send').click();
    await drawn();
    const strong = page().locator('.edge[data-kind="taken"]');
    expect(await strong.evaluateAll((edges) => edges.map((edge) => edge.getAttribute('data-edge')))).toEqual([
      'session.active.submitting>session.active.reconciling',
    ]);
    await page().getByRole('tab', { name: 'Context' }).click();
    expect(JSON.parse((await byTest('context').textContent()) ?? '')).toMatchObject({
      turn: { taskId: 'by-hand-1', accepted: false, readPending: true },
    });
    await page().getByRole('tab', { name: 'Send' }).click();
    // A turn is resumed by its pool alone.
    expect(await page().getByRole('button', { name: 'turn.resume' }).count()).toBe(0);
  });

  it('answers a permission, and survives a lost stream', async () => {
    await standStill('ask');
    await stepUntil('both turns wait', async () => (await page().locator('.cell[data-path="active.awaitingInput"]').count()) === 2);
    await byTest('allow').click();
    await page().getByRole('tab', { name: 'Faults' }).click();
    await page().getByRole('button', { name: 'Answer all asks' }).click();
    await stepUntil('the turns go on', async () => (await page().locator('.cell[data-path="active.running"]').count()) === 2);
    await page().getByRole('button', { name: 'Drop the stream' }).click();
    await stepUntil('the gap is told', async () => (await page().locator('.cell[data-path="active.reconciling"]').count()) === 2);
    // Panels of text follow about six times a second.
    await expect.poll(() => byTest('stream-state').textContent()).toContain('reconnecting');
    await stepUntil('both are done', async () => (await page().locator('.cell[data-path="idle"]').count()) === 2);
    await expect.poll(() => byTest('stream-state').textContent()).toContain('live · generation 2');
    await page().getByRole('tab', { name: 'Send' }).click();
  });

  it('shows a server that is killed under twenty turns, and all of them to their end', async () => {
    await standStill('crash');
    const serverState = async () => (await byTest('server-state').textContent()) ?? '';
    await stepUntil('the server is lost', async () => (await serverState()).includes('restarting'), 400);
    await stepUntil('the pool recovers', async () => (await byTest('pool-state').textContent()) === 'pool recovering');
    await stepUntil('the turns broke off', async () => (await page().locator('.cell[data-path="error"]').count()) > 10);
    expect(await page().locator('.pip[data-used="true"]').count()).toBe(1);
    await byTest('server-state').click();
    await page().locator('[data-node="restarting"][data-leaf="true"]').waitFor();
    await stepUntil('another one answers', async () => (await serverState()).includes('ready'), 60);
    await expect.poll(() => byTest('server-line').textContent()).toContain('Server generation 2 · 1 restarted');
    await byTest('speed').selectOption('5');
    await byTest('play').click();
    await expect.poll(outcomes, { timeout: 60_000, message: 'the end of every task' }).toBe('succeeded 24');
    await byTest('play').click();
    await page().locator('.cell').first().click();
  });

  it('spends the restart budget on a server that keeps dying', async () => {
    await standStill('loop');
    await stepUntil('the pool has failed', async () => (await byTest('pool-state').textContent()) === 'pool failed', 400);
    await expect.poll(() => byTest('server-state').textContent()).toBe('server failed');
    expect(await page().locator('.pip[data-used="true"]').count()).toBe(3);
    await stepUntil('every task is told so', async () => (await outcomes()).includes('server_lost'));
    expect(await byTest('pool-state').textContent()).toBe('pool failed');
  });

  it('replaces a server that grows, on its own chart', async () => {
    await standStill('rotation');
    await byTest('server-state').click();
    await byTest('speed').selectOption('5');
    await byTest('play').click();
    // The state lasts for a moment: a busy machine draws no frame of it. That the chart has it, and what came of it, stays.
    await page().locator('[data-node="rotating"]').first().waitFor({ state: 'attached' });
    await expect.poll(() => byTest('server-line').textContent(), { timeout: 20_000 }).toContain('generation 2 · 1 rotated');
    await byTest('play').click();
    await byTest('speed').selectOption('1');
    await page().getByRole('tab', { name: 'Send' }).click();
    await expect.poll(() => page().getByRole('button', { name: 'rotation.wanted' }).count(), { timeout: 20_000 }).toBe(1);
    await page().locator('.cell').first().click();
  });

  it('shows what the provider allows of the pool', async () => {
    await standStill('quota');
    await stepUntil('a refusal', async () => (await byTest('breaker').getAttribute('data-held')) === 'true', 60);
    await expect.poll(() => byTest('breaker').textContent()).toMatch(/held .* · 1 at once/);
  });

  it('draws the sequence, counts coverage and exports', async () => {
    await standStill('clean');
    await stepUntil('three turns', async () => (await outcomes()) === 'succeeded 3', 300);
    await page().getByRole('tab', { name: 'Sequence' }).click();
    await expect.poll(() => page().locator('.message[data-type="submitTurn"]').count(), { timeout: 20_000 }).toBeGreaterThan(0);
    await page().getByRole('tab', { name: 'Session' }).click();
    await page()
      .getByRole('checkbox', { name: /Coverage/ })
      .check();
    expect(await page().locator('.edge[data-weight="some"]').count()).toBeGreaterThanOrEqual(3);
    await page()
      .getByRole('checkbox', { name: /Coverage/ })
      .uncheck();
    const saved = async (choice: string) => {
      const [download] = await Promise.all([page().waitForEvent('download'), byTest('export').selectOption(choice)]);
      return readFile(await download.path(), 'utf8');
    };
    const lines = (await saved('trace'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { seq?: number; format?: string });
    expect(lines[0]).toMatchObject({ format: 'opencode-manager-trace', version: 1, title: 'A clean turn' });
    expect(lines.slice(1).map(({ seq }) => seq)).toEqual(lines.slice(1).map((_, index) => index + 1));
    expect(await saved('mermaid')).toMatch(/^stateDiagram-v2\n[^]*session_active_running --> session_active_settling/);
    expect(await saved('svg')).toMatch(/^<svg [^]*settling[^]*<\/svg>\n$/);
  });

  it('keeps up with a crowd of 500', async () => {
    await byTest('speed').selectOption('1');
    await byTest('scenario').selectOption('crowd');
    await expect.poll(() => page().locator('.cell').count(), { timeout: 60_000 }).toBeGreaterThanOrEqual(500);
    await expect
      .poll(async () => Number(await byTest('log-count').textContent()), { timeout: 60_000, message: 'events of the crowd' })
      .toBeGreaterThan(6000);
    await page().getByRole('combobox', { name: 'Filter sessions by directory' }).selectOption('/srv/two');
    await expect.poll(() => page().locator('.cell').count(), { timeout: 30_000 }).toBeLessThan(300);
    await page().getByRole('combobox', { name: 'Filter sessions by directory' }).selectOption('');
    await page().getByRole('searchbox', { name: 'Filter sessions by id or task' }).fill('ses_0002');
    await expect.poll(() => page().locator('.cell').count(), { timeout: 30_000 }).toBe(1);
    await page().getByRole('searchbox', { name: 'Filter sessions by id or task' }).fill('');
  });

  it('has no serious fault by axe, light and dark, and can be used by keyboard', async () => {
    await standStill('gap');
    await stepUntil('a reconciling session', async () => (await page().locator('.cell[data-path="active.reconciling"]').count()) > 0);
    await expect.poll(() => axeFaults(page()), { timeout: 30_000 }).toEqual([]);
    await byTest('theme').click();
    expect(await page().evaluate(() => document.documentElement.dataset['theme'])).toBe('dark');
    await expect.poll(() => axeFaults(page()), { timeout: 30_000 }).toEqual([]);
    await byTest('theme').click();
    await byTest('chart').focus();
    const before = await page().locator('[data-testid=chart] > g').getAttribute('transform');
    await page().keyboard.press('+');
    await page().keyboard.press('ArrowLeft');
    await expect.poll(() => page().locator('[data-testid=chart] > g').getAttribute('transform'), { timeout: 20_000 }).not.toBe(before);
    await page().keyboard.press('0');
    await expect.poll(() => page().locator('[data-testid=chart] > g').getAttribute('transform'), { timeout: 20_000 }).toBe(before);
  });

  it('runs where the browser has no disposable stacks', async () => {
    const other = await browsing.context.newPage();
    await other.addInitScript(() => {
      Reflect.deleteProperty(globalThis, 'AsyncDisposableStack');
      Reflect.deleteProperty(globalThis, 'DisposableStack');
    });
    await using served = new Ocm(['playground', '--simulate', '--json']);
    await other.goto(await served.pageUrl());
    await expect.poll(() => other.getByTestId('pool-state').textContent(), { timeout: 20_000 }).toBe('pool running');
    await other.close();
  });

  it('fits the width of a phone', async () => {
    await page().setViewportSize({ width: 390, height: 844 });
    await expect.poll(() => page().evaluate(() => document.documentElement.scrollWidth), { timeout: 20_000 }).toBeLessThanOrEqual(390);
    await byTest('scrubber').scrollIntoViewIfNeeded();
    expect(await byTest('scrubber').isVisible()).toBe(true);
    await page().setViewportSize({ width: 1280, height: 800 });
    expect(browsing.complaints).toEqual([]);
  });
});
