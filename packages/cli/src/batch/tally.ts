import { outcomes, type Outcome, type TaskResult } from '@opencode-manager/actors';
import type { KeptWorkspace } from '../workspaces/index.ts';

type Usage = TaskResult['usage'];

/** What a task that did not succeed is told with at the end. */
export interface ToldFailure {
  readonly id: string;
  readonly outcome: Outcome | 'skipped';
  readonly reason: string;
}

/** So many failures are told at the end; the records have all. */
const mostFailures = 10;

/** Those that somebody has to do something about come first. */
const worstFirst: readonly ToldFailure['outcome'][] = [
  'failed',
  'runaway',
  'stalled',
  'timed_out',
  'over_budget',
  'quota_exhausted',
  'needs_input',
  'server_lost',
  'interrupted',
  'aborted',
  'skipped',
];

/** What a batch has come to, final result by final result. Of a result no more is held than the summary tells. */
export class Tally {
  readonly counts = Object.fromEntries(outcomes.map((outcome) => [outcome, 0])) as Record<Outcome, number>;
  readonly usage: Record<keyof Usage, number> = {
    input_tokens: 0,
    output_tokens: 0,
    reasoning_tokens: 0,
    cache_read_tokens: 0,
    cache_write_tokens: 0,
  };
  readonly #sources = new Set<string>();
  readonly #succeeded = new Map<string, number>();
  readonly #failures: ToldFailure[] = [];
  #cost: number | null = 0;
  #changed = { patches: 0, files: 0, insertions: 0, deletions: 0 };
  #untaken = 0;
  #ended = 0;
  #failed = 0;

  constructor(results: Iterable<TaskResult> = []) {
    for (const result of results) this.add(result);
  }

  add(result: TaskResult): void {
    const {
      outcome,
      group,
      usage,
      cost_usd: cost,
      files_changed: files = 0,
      insertions = 0,
      deletions = 0,
      source_changes: sources = [],
    } = result;
    this.counts[outcome] += 1;
    if (outcome === 'succeeded' && group !== undefined) this.#succeeded.set(group, (this.#succeeded.get(group) ?? 0) + 1);
    this.#ended += 1;
    for (const name of Object.keys(this.usage) as (keyof Usage)[]) this.usage[name] += usage[name] ?? 0;
    // One unknown price makes the sum unknown: a part of the truth would pass for all of it.
    this.#cost = cost === null || this.#cost === null ? null : this.#cost + cost;
    for (const source of sources) this.#sources.add(source);
    if (result.base_commit === undefined) this.#untaken += 1;
    if (files > 0) {
      const { patches, files: all, insertions: more, deletions: less } = this.#changed;
      this.#changed = { patches: patches + 1, files: all + files, insertions: more + insertions, deletions: less + deletions };
    }
  }

  /** A task that did not succeed, or was not run because of another one. */
  fail(failure: ToldFailure): void {
    this.#failed += 1;
    this.#failures.push(failure);
    // Only what may be told is held.
    if (this.#failures.length > 20 * mostFailures) this.#failures.splice(0, this.#failures.length, ...this.#worst());
  }

  /** A task that is tried again has not failed, though what it has used is used. */
  forget(id: string): void {
    const at = this.#failures.findIndex((failure) => failure.id === id);
    if (at === -1) return;
    this.#failures.splice(at, 1);
    this.#failed -= 1;
  }

  #worst(): ToldFailure[] {
    const rank = ({ outcome }: ToldFailure) => worstFirst.indexOf(outcome);
    return this.#failures.toSorted((one, other) => rank(one) - rank(other)).slice(0, mostFailures);
  }

  get costUsd(): number | null {
    return this.#cost;
  }

  get ended(): number {
    return this.#ended;
  }

  get changed(): Readonly<{ patches: number; files: number; insertions: number; deletions: number }> {
    return this.#changed;
  }

  /** Whether the changes of every task were taken, so that no patch means no change. */
  get isTaken(): boolean {
    return this.#untaken === 0;
  }

  /** Counts by group, for tasks of two groups or more. */
  groups(tasks: Iterable<{ readonly group?: string; readonly repeat?: number }>): readonly GroupCount[] {
    const totals = new Map<string, number>();
    for (const { group, repeat = 1 } of tasks) if (group !== undefined) totals.set(group, (totals.get(group) ?? 0) + repeat);
    if (totals.size < 2 || this.#ended === 0) return [];
    return [...totals].map(([group, total]) => ({ group, total, succeeded: this.#succeeded.get(group) ?? 0 }));
  }

  get sourceChanges(): readonly string[] {
    return [...this.#sources].toSorted();
  }

  /** The worst first, and how many there are besides. */
  failures(): { readonly told: readonly ToldFailure[]; readonly more: number } {
    const told = this.#worst();
    return { told, more: this.#failed - told.length };
  }
}

/** How many tasks of a group there are, and how many have succeeded. */
export interface GroupCount {
  readonly group: string;
  readonly total: number;
  readonly succeeded: number;
}

/** What a summary is made of. */
export interface BatchSummary {
  readonly total: number;
  /** By the outcome of each task, those of earlier managers too. */
  readonly counts: Readonly<Record<Outcome, number>>;
  readonly tally: Tally;
  readonly notStarted: number;
  readonly gaps: number;
  readonly restarts: number;
  readonly serverRestarts: number;
  readonly durationMs: number;
  /** Whether nothing of the server was left, and whether its state is gone; undefined when something was left. */
  readonly stop: { readonly stateDeleted: boolean } | undefined;
  readonly signal: string | undefined;
  readonly exitCode: number;
  /** Directories that hold the patches of tasks; undefined when none had a workspace of its own. */
  readonly patches?: readonly string[] | undefined;
  /** Workspaces that are still there. */
  readonly kept?: readonly KeptWorkspace[];
  /** Empty for tasks of fewer than two groups. */
  readonly groups?: readonly GroupCount[];
  /** Of a durable run. */
  readonly run?: RunPart;
}

export interface RunPart {
  readonly id: string;
  /** null when nothing was kept. */
  readonly path: string | null;
  readonly reason: string;
  readonly why: string | null;
  readonly skipped: number;
  readonly reused: number;
  readonly dropped: number;
  readonly succeededFirstTry: number;
  readonly succeededAfterRetry: number;
  /** Of all attempts, those of earlier managers too. */
  readonly totals: {
    readonly attempts: number;
    readonly usage: Usage;
    readonly costUsd: number | null;
    readonly knownCostUsd: number;
    readonly parkedMs: number;
  };
  /** What commands call it; undefined when nothing was kept, or its directory was removed. */
  readonly name: string | undefined;
  /** Its name in a queue; absent for one of this host alone. */
  readonly queueRun?: string;
}
