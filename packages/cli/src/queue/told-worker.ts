/** What a worker tells of itself. */
export interface ToldWorker {
  readonly host: string;
  readonly pid: number;
  readonly running: number;
  readonly concurrency: number;
  readonly configuration: string;
  /** Why it takes nothing of a run, by the names of runs; absent when it takes of all. */
  readonly unable?: Readonly<Record<string, string>>;
}

export interface UnableWorker extends Pick<ToldWorker, 'host' | 'pid'> {
  readonly why: string;
}

/** Those who cannot begin a task of a run. */
export function unableFor(run: string, workers: readonly ToldWorker[]): readonly UnableWorker[] {
  return workers.flatMap(({ host, pid, unable }) => (unable?.[run] === undefined ? [] : [{ host, pid, why: unable[run] }]));
}
