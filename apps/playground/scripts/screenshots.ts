// Writes the pictures of docs/images: each view of the page, in simulation and beside a real run. Needs a build.
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { openBrowser } from '../test/support/browser.ts';
import { Ocm } from '../test/support/ocm.ts';

const images = fileURLToPath(new URL('../../../docs/images/', import.meta.url));

async function save(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: `${images}${name}.png`, animations: 'disabled' });
  console.log(`docs/images/${name}.png`);
}

/** Lets a scenario run until something is on the page, and stops it there. */
async function runUntil(page: Page, scenario: string, selector: string): Promise<void> {
  await page.getByTestId('scenario').selectOption(scenario);
  await page.locator(selector).first().waitFor({ state: 'attached', timeout: 60_000 });
  await page.getByTestId('play').click();
}

async function simulation(page: Page): Promise<void> {
  await runUntil(page, 'gap', '.cell[data-path="active.reconciling"]');
  await page.locator('.cell[data-path="active.reconciling"]').first().click();
  await save(page, 'playground-simulation');
  await page.getByRole('tab', { name: 'Sequence' }).click();
  await save(page, 'playground-sequence');
  await page.getByRole('tab', { name: 'Session chart' }).click();
  await runUntil(page, 'ask', '.cell[data-path="active.awaitingInput"]');
  await page.getByRole('button', { name: 'Active' }).click();
  await page.getByRole('tab', { name: 'Faults' }).click();
  await save(page, 'playground-close-up');
  await page.getByRole('button', { name: 'Fit' }).click();
}

async function crowd(page: Page): Promise<void> {
  await page.getByTestId('theme').click();
  await page.getByTestId('scenario').selectOption('crowd');
  await page.getByRole('tab', { name: 'Faults' }).click();
  await page.getByRole('checkbox', { name: /429 storm/ }).check();
  await page.locator('.cell[data-path="active.backingOff"]').nth(60).waitFor({ timeout: 60_000 });
  await page.getByRole('checkbox', { name: /429 storm/ }).uncheck();
  await page.getByRole('checkbox', { name: /Permission asks/ }).check();
  await page.locator('.cell[data-path="active.awaitingInput"]').nth(60).waitFor({ timeout: 60_000 });
  await page.getByTestId('play').click();
  await page.getByRole('checkbox', { name: /Coverage/ }).check();
  await save(page, 'playground-crowd-dark');
  await page.getByRole('checkbox', { name: /Coverage/ }).uncheck();
  await page.getByRole('tab', { name: 'Pool chart' }).click();
  await save(page, 'playground-pool-dark');
  await page.getByTestId('theme').click();
}

async function live(page: Page): Promise<void> {
  await using ocm = new Ocm(['demo', '--json', '--playground', '--allow-control', '--content']);
  await page.goto(await ocm.pageUrl());
  await page.locator('.outcomes').getByText('succeeded').waitFor({ timeout: 60_000 });
  await page.locator('.cell[data-path="active.running"]').first().click();
  await page.getByRole('row').filter({ hasText: 'message.updated' }).last().click();
  await save(page, 'playground-live');
  await ocm.exit;
}

await mkdir(images, { recursive: true });
{
  await using ocm = new Ocm(['playground', '--json']);
  await using browsing = await openBrowser();
  await browsing.page.goto(await ocm.pageUrl());
  await browsing.page.getByTestId('chart').waitFor();
  await simulation(browsing.page);
  await crowd(browsing.page);
  await browsing.page.setViewportSize({ width: 390, height: 844 });
  await runUntil(browsing.page, 'clean', '.cell[data-path="active.running"]');
  await browsing.page.getByRole('tab', { name: 'Session chart' }).click();
  await save(browsing.page, 'playground-phone');
}
{
  await using browsing = await openBrowser();
  await live(browsing.page);
}
