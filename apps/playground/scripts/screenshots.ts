// Writes the pictures of docs/images: each view of the page, in simulation, beside a real run and of a run's directory. Needs a build. Another
// directory may be named.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { openBrowser } from '../test/support/browser.ts';
import { makeLiveRun } from '../test/support/made-run.ts';
import { Ocm } from '../test/support/ocm.ts';

const images = process.argv[2] ?? fileURLToPath(new URL('../../../docs/images/', import.meta.url));
const phone = { width: 390, height: 844 };
const desktop = { width: 1280, height: 800 };

async function save(page: Page, name: string): Promise<void> {
  const path = join(images, `playground-${name}.png`);
  // What was done is drawn with the next frame.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  await page.screenshot({ path, animations: 'disabled' });
  console.log(`playground-${name}.png`);
}

const tab = (page: Page, name: string) => page.getByRole('tab', { name }).click();
const theme = (page: Page) => page.getByTestId('theme').click();

/** Lets a scenario run until something is on the page, and stops it there. */
async function runUntil(page: Page, scenario: string, selector: string): Promise<void> {
  await page.getByTestId('scenario').selectOption(scenario);
  await page.locator(selector).first().waitFor({ state: 'attached', timeout: 60_000 });
  await page.getByTestId('play').click();
}

async function simulation(page: Page): Promise<void> {
  await runUntil(page, 'gap', '.cell[data-path="active.reconciling"]');
  await page.locator('.cell[data-path="active.reconciling"]').first().click();
  await save(page, 'simulation');
  await tab(page, 'Sequence');
  await save(page, 'sequence');
  await tab(page, 'Session');
  await runUntil(page, 'ask', '.cell[data-path="active.awaitingInput"]');
  await page.getByRole('button', { name: 'Active', exact: true }).click();
  await tab(page, 'Send');
  await save(page, 'close-up');
  await page.getByRole('button', { name: 'Fit' }).click();
}

async function servers(page: Page): Promise<void> {
  await theme(page);
  await page.getByTestId('speed').selectOption('1');
  await runUntil(page, 'crash', '[data-testid="pool-state"].tone-recovering');
  await page.getByTestId('pool-state').click();
  await tab(page, 'Faults');
  await save(page, 'pool-dark');
  await theme(page);
  await runUntil(page, 'rotation', '[data-testid="server-state"].tone-rotating');
  await page.getByTestId('server-state').click();
  await save(page, 'server');
}

async function crowd(page: Page): Promise<void> {
  await theme(page);
  const fault = (name: RegExp) => page.getByRole('checkbox', { name });
  await tab(page, 'Session');
  await tab(page, 'Faults');
  await page.getByTestId('scenario').selectOption('crowd');
  // The first turns have begun: those that come from now on differ.
  await page.locator('.outcomes').getByText('succeeded').waitFor({ timeout: 120_000 });
  await fault(/Permission asks/).check();
  await page.locator('.cell[data-path="active.awaitingInput"]').nth(60).waitFor({ timeout: 120_000 });
  await fault(/Permission asks/).uncheck();
  await fault(/Sub-agents/).check();
  await page.locator('.cell[data-path="active.waitingOnChildren"]').nth(60).waitFor({ timeout: 120_000 });
  await fault(/429 storm/).check();
  await page.locator('.cell[data-path="active.backingOff"]').nth(3).waitFor({ timeout: 120_000 });
  await page.getByTestId('play').click();
  await page.locator('.cell[data-path="active.running"]').first().click();
  await page.getByRole('checkbox', { name: /Coverage/ }).check();
  await save(page, 'crowd-dark');
  await page.getByRole('checkbox', { name: /Coverage/ }).uncheck();
  await theme(page);
}

async function narrow(page: Page, name: string): Promise<void> {
  await page.setViewportSize(phone);
  await page.evaluate(() => scrollTo(0, 0));
  await save(page, name);
  await page.setViewportSize(desktop);
}

async function live(page: Page): Promise<void> {
  await using ocm = new Ocm(['demo', '--json', '--playground', '--allow-control', '--content']);
  await page.goto(await ocm.pageUrl());
  await page.locator('.outcomes').getByText('succeeded').waitFor({ timeout: 60_000 });
  await page.locator('.cell[data-path="active.running"]').first().click();
  await page.getByRole('row').filter({ hasText: 'message.finalised' }).last().click();
  await save(page, 'live');
  await theme(page);
  await narrow(page, 'phone-live-dark');
  await ocm.exit;
}

async function batch(page: Page): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'ocm-playground-'));
  try {
    await using run = await makeLiveRun(join(directory, 'project'), 400);
    await using ocm = new Ocm(['playground', '--run', run.path, '--json', '--content']);
    await page.goto(await ocm.pageUrl());
    await page.getByRole('button', { name: 'test-00006', exact: true }).click();
    await page.getByTestId('conversation').waitFor();
    await save(page, 'batch');
    await page.getByRole('button', { name: 'Close' }).click();
    await theme(page);
    await narrow(page, 'phone-batch-dark');
    await theme(page);
  } finally {
    await rm(directory, { recursive: true });
  }
}

await mkdir(images, { recursive: true });
{
  await using browsing = await openBrowser();
  await batch(browsing.page);
}
{
  await using ocm = new Ocm(['playground', '--simulate', '--json']);
  await using browsing = await openBrowser();
  const { page } = browsing;
  await page.goto(await ocm.pageUrl());
  await page.getByTestId('chart').waitFor();
  await simulation(page);
  await servers(page);
  await crowd(page);
  await runUntil(page, 'clean', '.cell[data-path="active.running"]');
  await narrow(page, 'phone');
}
{
  await using browsing = await openBrowser();
  await live(browsing.page);
}
