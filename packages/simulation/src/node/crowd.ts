import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { ProtocolName } from '@opencode-manager/core/protocol';
import type { Profile } from '../plan/draw.ts';

export interface Batch {
  /** What a seed stands for: a world of a pool (default), of a run, or a small run that is killed at every position of its journal. */
  readonly worlds?: 'pool' | 'runs' | 'positions' | undefined;
  /** At each position, at every stage of an append, in place of one that chance draws. */
  readonly everyStage?: boolean | undefined;
  readonly seeds: readonly number[];
  readonly profile?: Profile | undefined;
  /** Of all worlds; chance when absent. */
  readonly protocol?: ProtocolName | undefined;
  /** Number of a mutant, by which the machines are changed. */
  readonly mutant?: number | undefined;
  readonly untilFailure?: boolean | undefined;
  /** Notes which states and transitions each world takes. */
  readonly visits?: boolean | undefined;
}

export interface BatchReport {
  worlds: number;
  /** In how many worlds each fault happened. */
  readonly faults: Record<string, number>;
  readonly failures: { readonly seed: number; readonly kinds: readonly string[] }[];
  /** Seeds whose second run was another. */
  readonly different: number[];
  /** Of each seed: ids of the states and transitions that its machines took. */
  readonly visited: [seed: number, ids: ReadonlySet<string>][];
}

/** `untilFailure` ends with the first failure. */
export interface CrowdOptions extends Batch {
  readonly threads?: number;
}

/** Worlds of one batch; one small run is many. */
const batchSize = { pool: 25, runs: 25, positions: 1 } as const;

/** A batch that takes longer than this hangs outside of its world, in milliseconds. */
const batchTimeoutMs = 60_000;
const everyStageTimeoutMs = 600_000;

/** Runs the worlds of many seeds on several threads. */
export async function runCrowd({ seeds, threads, ...batch }: CrowdOptions): Promise<BatchReport> {
  const total = emptyReport();
  const batches = batchesOf(seeds, batchSize[batch.worlds ?? 'pool']);
  await onThreads(threads, async (run) => {
    for (const some of batches) {
      add(total, await run({ ...batch, seeds: some }));
      if (batch.untilFailure && total.failures.length > 0) return;
    }
  });
  total.failures.sort((a, b) => a.seed - b.seed);
  return total;
}

/** Runs worlds against each mutant until one fails; `onFound` is told its seed and what failed, or nothing. */
export async function tryMutants(
  mutants: readonly { readonly number: number; readonly seeds: readonly number[] }[],
  batch: Pick<Batch, 'profile' | 'protocol' | 'worlds'>,
  onTried: (index: number, failure: BatchReport['failures'][number] | undefined) => void,
): Promise<void> {
  const left = mutants.entries();
  await onThreads(undefined, async (run) => {
    for (const [index, { number, seeds }] of left) {
      let failure: BatchReport['failures'][number] | undefined;
      for (const some of batchesOf(seeds, batchSize.pool)) {
        [failure] = (await run({ ...batch, seeds: some, mutant: number, untilFailure: true })).failures;
        if (failure) break;
      }
      onTried(index, failure);
    }
  });
}

/** The list is shared by those who take from it. */
function* batchesOf(seeds: readonly number[], size: number): Generator<readonly number[]> {
  for (let next = 0; next < seeds.length; next += size) yield seeds.slice(next, next + size);
}

/** Does the same work on several threads, each of which runs batches for it. */
async function onThreads(threads = 2, work: (run: (batch: Batch) => Promise<BatchReport>) => Promise<void>): Promise<void> {
  const one = async () => {
    let worker = startWorker();
    try {
      await work(async (batch) => {
        const report = await ask(worker, batch);
        if (report.worlds > 0 || report.failures.length === 0) return report;
        // It hangs still: another thread goes on.
        await worker.terminate();
        worker = startWorker();
        return report;
      });
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: threads }, one));
}

function startWorker(): Worker {
  const file = new URL(`./worlds.worker${extname(new URL(import.meta.url).pathname)}`, import.meta.url);
  return new Worker(file);
}

function ask(worker: Worker, batch: Batch): Promise<BatchReport> {
  const answer = Promise.withResolvers<BatchReport>();
  const timeoutMs = batch.everyStage ? everyStageTimeoutMs : batchTimeoutMs;
  const timer = setTimeout(() => answer.resolve(hung(batch, timeoutMs)), timeoutMs);
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

export const emptyReport = (): BatchReport => ({ worlds: 0, faults: {}, failures: [], different: [], visited: [] });

/** `count` seeds, the first of them `from`. */
export const seedsFrom = (from: number, count: number): number[] => Array.from({ length: count }, (_, index) => from + index);

function hung({ seeds }: Batch, timeoutMs: number): BatchReport {
  const kinds = [`the world does not come to an end within ${timeoutMs} ms of real time`];
  return { ...emptyReport(), failures: [{ seed: seeds[0]!, kinds }] };
}

function add(total: BatchReport, { worlds, faults, failures, different, visited }: BatchReport): void {
  total.worlds += worlds;
  for (const [fault, count] of Object.entries(faults)) total.faults[fault] = (total.faults[fault] ?? 0) + count;
  total.failures.push(...failures);
  total.different.push(...different);
  total.visited.push(...visited);
}
