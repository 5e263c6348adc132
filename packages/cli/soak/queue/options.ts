import { parseArgs } from 'node:util';

export interface QueueSoakOptions {
  readonly backend: 'redis' | 'postgres';
  readonly tasks: number;
  readonly workers: number;
  /** Tasks at once on each worker. */
  readonly concurrency: number;
  /** Workers that are killed. */
  readonly kills: number;
  readonly seed: number;
  /** How long a worker has a task without a sign, in milliseconds. */
  readonly leaseMs: number;
  /** In place of faults: the throughput of three workers against one. */
  readonly measures: boolean;
  readonly keep: boolean;
}

export const usage =
  '[--backend redis|postgres] [--tasks N] [--workers N] [--concurrency N] [--kills N] [--seed S] [--lease SECONDS] [--throughput] [--keep]';

export function parseOptions(args: readonly string[]): QueueSoakOptions {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      backend: text,
      tasks: text,
      workers: text,
      concurrency: text,
      kills: text,
      seed: text,
      lease: text,
      throughput: { type: 'boolean' },
      keep: { type: 'boolean' },
    },
  });
  const { backend = 'redis' } = values;
  if (backend !== 'redis' && backend !== 'postgres') throw new Error(`--backend ${backend} is neither redis nor postgres.`);
  return {
    backend,
    tasks: count(values.tasks, 300),
    workers: count(values.workers, 3),
    concurrency: count(values.concurrency, 10),
    kills: count(values.kills, 10),
    seed: count(values.seed, Date.now() % 100_000),
    leaseMs: 1000 * count(values.lease, 5),
    measures: values.throughput === true,
    keep: values.keep === true,
  };
}

function count(text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (/^\d+$/.test(text)) return Number(text);
  throw new Error(`${text} is no whole number.`);
}
