import { afterAll, beforeAll, expect, it } from 'vitest';
import { openBrowser, type Browsing } from './support/browser.ts';
import { startLoad, type Load } from './support/load.ts';

let load: Load;
let browsing: Browsing;

beforeAll(async () => {
  load = await startLoad(500);
  browsing = await openBrowser();
}, 120_000);

afterAll(async () => {
  await browsing?.[Symbol.asyncDispose]();
  await load?.[Symbol.asyncDispose]();
});

it('keeps up with 500 sessions and 5,000 events a second over the link, and can be used meanwhile', { timeout: 180_000 }, async () => {
  const { page } = browsing;
  const shown = async () => Number(await page.getByTestId('log-count').textContent());
  await page.goto(load.url);
  load.setRate(5000);
  await page.locator('.cell').nth(499).waitFor({ timeout: 60_000 });
  await expect.poll(shown, { timeout: 60_000, message: 'ten thousand records' }).toBeGreaterThan(10_000);
  // By its id: which cell is at a place changes while records leave the page's memory.
  const cell = (await page.locator('.cell').nth(250).getAttribute('id'))!;
  const id = cell.replace('cell-', '');
  await page.locator(`#${cell}`).click();
  await expect.poll(() => page.getByTestId('chart-of').textContent(), { timeout: 30_000 }).toContain(id);
  await page.getByTestId('scrubber').fill('2000');
  await expect.poll(() => page.getByTestId('log-count').textContent(), { timeout: 30_000 }).toBe('2000');
  await page.getByTestId('now').click();
  load.setRate(0);
  await expect.poll(async () => load.sent - (await shown()), { timeout: 30_000, message: 'records that are missing on the page' }).toBe(0);
  expect(browsing.complaints).toEqual([]);
});
