// Measures the page of a run of 10,000 tasks: how long until its first rows are there, how much memory page and command take, and how smooth
// it scrolls and filters. Needs a build.
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { openBrowser } from '../test/support/browser.ts';
import { makeRunProgram } from '../test/support/made-run.ts';
import { Ocm } from '../test/support/ocm.ts';

const tasks = 10_000;

/** Scrolls from the first row to the last, a screen a frame. */
function scroll(page: Page): Promise<{ readonly framesPerSecond: number; readonly longestFrameMs: number }> {
  return page.evaluate(async () => {
    const box = document.querySelector('[data-testid="tasks"]')!;
    const frames: number[] = [];
    let last = performance.now();
    while (box.scrollTop + box.clientHeight < box.scrollHeight - 1) {
      box.scrollTop += box.clientHeight * 2;
      const now = await new Promise<number>((resolve) => requestAnimationFrame(() => resolve(performance.now())));
      frames.push(now - last);
      last = now;
    }
    const total = frames.reduce((sum, frame) => sum + frame, 0);
    return { framesPerSecond: Math.round((frames.length / total) * 1000), longestFrameMs: Math.round(Math.max(...frames)) };
  });
}

async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
}

const directory = await mkdtemp(join(tmpdir(), 'ocm-playground-'));
try {
  const made = execFileSync(process.execPath, [...makeRunProgram, join(directory, 'repository'), String(tasks)], { encoding: 'utf8' });
  const { path } = JSON.parse(made) as { readonly path: string };
  await using ocm = new Ocm(['playground', '--run', path, '--json', '--content']);
  const url = await ocm.pageUrl();
  await using browsing = await openBrowser();
  const { page } = browsing;
  const before = performance.now();
  await page.goto(url);
  await page.locator(`[role="table"][aria-rowcount="${tasks + 1}"]`).waitFor();
  const firstRowsMs = Math.round(performance.now() - before);
  const scrolled = await scroll(page);
  const filtering = performance.now();
  await page.getByRole('searchbox').fill('TURN_TIMEOUT');
  await page.locator(`[role="table"]:not([aria-rowcount="${tasks + 1}"])`).waitFor();
  const filterMs = Math.round(performance.now() - filtering);
  const heapMb = await page.evaluate(() =>
    Math.round(((performance as unknown as { memory?: { usedJSHeapSize: number } }).memory?.usedJSHeapSize ?? 0) / 1e6),
  );
  const drawn = await page.locator('.task-body .task-row').count();
  const commandMb = await residentMb(ocm.child.pid!);
  console.log(`${tasks} tasks:`, JSON.stringify({ firstRowsMs, ...scrolled, filterMs, drawn, heapMb, commandMb }));
} finally {
  await rm(directory, { recursive: true });
}
