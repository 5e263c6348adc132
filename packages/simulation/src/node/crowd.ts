import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Profile } from '../plan/draw.ts';

/** Seeds from `from` up to, and without, `to`. */
export interface Batch {
  readonly from: number;
  readonly to: number;
  readonly profile?: Profile | undefined;
  /** Number of a mutant, by which the machines are changed. */
  readonly mutant?: number | undefined;
  readonly untilFailure?: boolean | undefined;
}

export interface BatchReport {
  readonly from: number;
  worlds: number;
  /** In how many worlds each fault happened. */
  readonly faults: Record<string, number>;
  readonly failures: { readonly seed: number; readonly kinds: readonly string[] }[];
  /** Seeds whose second run was another. */
  readonly different: number[];
}

export interface CrowdOptions {
  readonly from: number;
  readonly seeds: number;
  readonly profile?: Profile | undefined;
  readonly mutant?: number | undefined;
  /** Ends with the first failure. */
  readonly untilFailure?: boolean | undefined;
  readonly threads?: number;
}

/** Worlds of one batch. */
const batchSize = 25;

/** A batch that takes longer than this hangs outside of its world, in milliseconds. */
const batchTimeoutMs = 60_000;

/** Runs the worlds of many seeds on several threads. */
export async function runCrowd({ from, seeds, threads = 2, ...batch }: CrowdOptions): Promise<BatchReport> {
  const total: BatchReport = { from, worlds: 0, faults: {}, failures: [], different: [] };
  let next = from;
  const end = from + seeds;
  const isOver = () => next >= end || (batch.untilFailure === true && total.failures.length > 0);
  const work = async () => {
    let worker = startWorker();
    try {
      while (!isOver()) {
        const first = next;
        next = Math.min(end, next + batchSize);
        const report = await ask(worker, { ...batch, from: first, to: next });
        add(total, report);
        if (report.worlds > 0) continue;
        // It hangs still: another thread goes on.
        await worker.terminate();
        worker = startWorker();
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: threads }, work));
  total.failures.sort((a, b) => a.seed - b.seed);
  return total;
}

function startWorker(): Worker {
  const file = new URL(`./worlds.worker${extname(new URL(import.meta.url).pathname)}`, import.meta.url);
  return new Worker(file);
}

function ask(worker: Worker, batch: Batch): Promise<BatchReport> {
  const answer = Promise.withResolvers<BatchReport>();
  const timer = setTimeout(() => answer.resolve(hung(batch)), batchTimeoutMs);
  const onMessage = (report: BatchReport | { error: string }) => {
    if ('error' in report) answer.reject(new Error(report.error));
    else answer.resolve(report);
  };
  worker.once('message', onMessage);
  worker.once('error', answer.reject);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  worker.postMessage(batch);
  return answer.promise.finally(() => {
    clearTimeout(timer);
    worker.off('message', onMessage);
    worker.off('error', answer.reject);
  });
}

function hung({ from }: Batch): BatchReport {
  const kinds = [`the world does not come to an end within ${batchTimeoutMs} ms of real time`];
  return { from, worlds: 0, faults: {}, failures: [{ seed: from, kinds }], different: [] };
}

function add(total: BatchReport, { worlds, faults, failures, different }: BatchReport): void {
  total.worlds += worlds;
  for (const [fault, count] of Object.entries(faults)) total.faults[fault] = (total.faults[fault] ?? 0) + count;
  total.failures.push(...failures);
  total.different.push(...different);
}
