// Measures how smooth the page is beside 500 sessions and 5,000 events a second, over the real link: frames a second, long
// tasks of the main thread, and how far the page lags behind. Needs a build.
import type { Page } from 'playwright-core';
import { openBrowser } from '../test/support/browser.ts';
import { startLoad } from '../test/support/load.ts';

const measureMs = 10_000;

interface Smoothness {
  readonly framesPerSecond: number;
  readonly longestFrameMs: number;
  readonly longTasks: number;
  readonly longTaskMs: number;
  readonly records: number;
  readonly heapMb: number;
}

/** Counts frames and long tasks of the page for a while. */
function measure(page: Page): Promise<Smoothness> {
  return page.evaluate(async (ms) => {
    const tasks: number[] = [];
    const observer = new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => tasks.push(duration)));
    observer.observe({ entryTypes: ['longtask'] });
    const count = () => Number(document.querySelector('[data-testid="log-count"]')?.textContent);
    const before = count();
    const startedAt = performance.now();
    const frames: number[] = [];
    let last = startedAt;
    while (last - startedAt < ms) {
      const now = await new Promise<number>((resolve) => requestAnimationFrame(() => resolve(performance.now())));
      frames.push(now - last);
      last = now;
    }
    observer.disconnect();
    const seconds = (last - startedAt) / 1000;
    const memory = (performance as unknown as { memory?: { usedJSHeapSize: number } }).memory;
    return {
      framesPerSecond: Math.round((frames.length / seconds) * 10) / 10,
      longestFrameMs: Math.round(Math.max(...frames)),
      longTasks: tasks.length,
      longTaskMs: Math.round(tasks.reduce((sum, task) => sum + task, 0)),
      records: Math.round((count() - before) / seconds),
      heapMb: Math.round((memory?.usedJSHeapSize ?? 0) / 1e6),
    };
  }, measureMs);
}

for (const rate of [0, 1000, 5000]) {
  await using load = await startLoad(500);
  await using browsing = await openBrowser();
  const { page } = browsing;
  load.setRate(5000);
  await page.goto(load.url);
  await page.locator('.cell').nth(499).waitFor({ timeout: 60_000 });
  load.setRate(rate);
  const smoothness = await measure(page);
  const behind = load.sent - Number(await page.getByTestId('log-count').textContent());
  console.log(`500 sessions, ${rate} events/s:`, JSON.stringify({ ...smoothness, behind }));
}
