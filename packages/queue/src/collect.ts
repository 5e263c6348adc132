import { copyFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OpencodeManagerError } from '@opencode-manager/core/errors';
import {
  countRecords,
  isSettled,
  JournalFold,
  Totals,
  type JournalEvent,
  type JournalRow,
  type RunDirectory,
} from '@opencode-manager/runs';
import type { FileOf, Ledger, QueuedFile } from './ledger/ledger.ts';
import { untilAnswered } from './until-answered.ts';

export interface CollectionOptions {
  readonly ledger: Ledger;
  /** Name of the run in the queue. */
  readonly run: string;
  /** Where all of it is brought to. Its journal becomes the one in the queue, row by row. */
  readonly directory: RunDirectory;
  /** Hears what could not be brought, in sentences. */
  readonly onNote: (note: string) => void;
}

/** Rows that are fetched at once: each may hold an answer. */
const rowsOfFetch = 100;

/** How long is waited for further rows, in milliseconds. */
const pollMs = 400;

type AttemptEnded = Extract<JournalEvent, { type: 'attempt.ended' }>;

/** After so many looks at a queue that says nothing new, it is asked whether it has the run still. */
const pollsOfLook = 10;

/** What keeps a run of a queue in a directory: the very one that a run of this host has, for all commands that look at runs. */
export class Collection {
  readonly #options: CollectionOptions;
  readonly #fold = new JournalFold();
  readonly #totals = new Totals();
  readonly #startedAtMs = Date.now();
  /** Number of the newest row that was here when it was opened. */
  readonly startSequence: number;

  constructor(options: CollectionOptions) {
    this.#options = options;
    for (const row of options.directory.journal.read()) this.#note(row);
    this.startSequence = this.#fold.lastSequence;
    this.#tellState();
  }

  counts() {
    return countRecords(this.#fold.tasks());
  }

  totals() {
    return this.#totals.now();
  }

  get history() {
    return this.#fold.history();
  }

  /**
   * Rows as they are kept here, until the run has ended or the signal is aborted. Where the queue does not answer, it is asked again.
   * @throws OpencodeManagerError `QUEUE_RUN_DIFFERS`, `RUN_STORAGE_FULL`, `RUN_GONE`; `RUN_UNKNOWN` when it is removed from the queue
   */
  async *rows(signal: AbortSignal): AsyncGenerator<JournalRow, void> {
    let idle = 0;
    while (!signal.aborted) {
      const rows = await this.#fetch();
      if (rows === undefined) await sleep(pollMs);
      else if (rows.length > 0) yield* await this.#keep(rows, signal);
      else if (this.history.endedBecause !== null) return;
      else if (!(await this.#endIfOver())) {
        idle += 1;
        if (idle % pollsOfLook === 0) await this.#refuseGone();
        await sleep(pollMs);
      }
    }
  }

  /** Nothing more would ever come. */
  async #refuseGone(): Promise<void> {
    const { ledger, run, directory } = this.#options;
    if ((await ledger.run(run).catch(() => null)) !== undefined) return;
    throw new OpencodeManagerError(
      'RUN_UNKNOWN',
      `The queue has no run ${run} any more: somebody has removed it, or the queue has lost it. What was collected is in ${directory.path}.`,
      { details: { run } },
    );
  }

  #fetch(): Promise<readonly JournalRow[] | undefined> {
    const { ledger, run } = this.#options;
    return ledger.rows(run, this.#fold.lastSequence, rowsOfFetch).catch(() => undefined);
  }

  async #keep(rows: readonly JournalRow[], signal: AbortSignal): Promise<readonly JournalRow[]> {
    const { directory, run } = this.#options;
    const events: JournalEvent[] = [];
    for (const { event } of rows) events.push(event.type === 'attempt.ended' ? await this.#bringFiles(event, signal) : event);
    const kept = await directory.journal.append(events);
    if (kept[0]?.sequence !== rows[0]?.sequence)
      throw new OpencodeManagerError(
        'QUEUE_RUN_DIFFERS',
        `${directory.path} holds another run than ${run} of the queue. Collect it into another directory.`,
      );
    await directory.addResults(kept);
    for (const row of kept) this.#note(row);
    this.#tellState();
    return kept;
  }

  #note(row: JournalRow): void {
    this.#fold.add(row);
    this.#totals.add(row);
  }

  /** Transcript and patches of an attempt: its result names a patch where it lies here, and none that does not. */
  async #bringFiles(event: AttemptEnded, signal: AbortSignal): Promise<JournalEvent> {
    const { ledger, run, directory } = this.#options;
    const of: FileOf = { run, key: event.key, attempt: event.attempt };
    const files = await untilAnswered(() => ledger.files(of), signal);
    const { patch, submodules } = event.result;
    const named = [patch, ...(submodules ?? []).map((one) => one.patch)].flatMap((name) => (name == null ? [] : [basename(name)]));
    for (const name of named)
      if (!files.some((file) => file.name === name)) this.#missing(of, name, 'its worker has not put it into the queue');
    if (files.length === 0 && named.length === 0) return event;
    const place = await directory.makeArtifacts(event.key, event.attempt);
    const brought = new Set<string>();
    for (const file of files) if (await this.#bringFile(of, file, join(place, file.name))) brought.add(file.name);
    return { ...event, result: withPatches(event.result, (name) => (brought.has(name) ? join(place, name) : null)) };
  }

  /** @throws OpencodeManagerError `RUN_STORAGE_FULL`: it is brought once there is room */
  async #bringFile(of: FileOf, { name, bytes, content, path }: QueuedFile, to: string): Promise<boolean> {
    try {
      if (content) await writeFile(to, content, { mode: 0o600 });
      else if (path !== null) await copyFile(path, to);
      else throw new Error(`it has ${bytes} bytes, and the queue takes up to 1 MB`);
      return true;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'ENOSPC' || code === 'EDQUOT')
        throw new OpencodeManagerError('RUN_STORAGE_FULL', `There is no room to write ${to} (${message}). Make room there, and go on.`, {
          details: { path: to },
          cause: error,
        });
      this.#missing(of, name, message);
      return false;
    }
  }

  #missing({ key, attempt }: FileOf, name: string, why: string): void {
    this.#options.onNote(
      `${name} of ${key}, attempt ${attempt}, is not here: ${why}. Give the workers and this host a directory that all see: --artifacts DIR`,
    );
  }

  /** The row of the end is written by whoever sees first that nothing is left to do. */
  async #endIfOver(): Promise<boolean> {
    const { ledger, run } = this.#options;
    const tasks = [...this.#fold.tasks()];
    const isDone = tasks.every(isSettled);
    const isCancelled =
      !isDone && tasks.every(({ open }) => open === null) && (await ledger.wishes(run).catch(() => undefined))?.isCancelled;
    if (!isDone && isCancelled !== true) return false;
    const ended: JournalEvent = { type: 'run.ended', reason: isDone ? 'done' : 'aborted' };
    return ledger.append(run, [ended], this.#fold.lastSequence).catch(() => false);
  }

  #tellState(): void {
    const { directory, run } = this.#options;
    directory.tellState(() => {
      const { total, outcomes, skipped, notStarted, dropped } = this.counts();
      const { generation, endedBecause } = this.history;
      const tasks = [...this.#fold.tasks()];
      const running = tasks.filter(({ open }) => open !== null).length;
      const totals = this.totals();
      const settled = tasks.filter(isSettled);
      const isOver = endedBecause !== null;
      const ends = isOver ? outcomes : countRecords(settled).outcomes;
      const perMinute = isOver || settled.length === 0 ? null : (settled.length * 60_000) / Math.max(1, Date.now() - this.#startedAtMs);
      return {
        schema_version: 1,
        run: directory.run.id,
        queue_run: run,
        pid: process.pid,
        host: hostname(),
        generation,
        total,
        running,
        waiting: isOver ? 0 : total - settled.length - running,
        outcomes: ends,
        skipped,
        not_started: notStarted,
        reused: 0,
        dropped,
        attempts: totals.attempts,
        usage: totals.usage,
        cost_usd: totals.costUsd,
        known_cost_usd: totals.knownCostUsd,
        parked_ms: totals.parkedMs,
        tasks_per_minute: perMinute === null ? null : Number(perMinute.toFixed(2)),
        eta_seconds: perMinute === null ? null : Math.round(((total - settled.length) * 60) / perMinute),
        holding: null,
        ended: endedBecause,
        started_at: new Date(this.#startedAtMs).toISOString(),
        updated_at: new Date().toISOString(),
      };
    });
  }
}

/** A result whose patches are named where they lie; `placeOf` gives null for one that is not here. */
function withPatches(result: AttemptEnded['result'], placeOf: (name: string) => string | null): AttemptEnded['result'] {
  const here = (patch: string | null | undefined) => {
    if (patch == null) return {};
    const place = placeOf(basename(patch));
    return place === null ? { patch: null, truncated: true as const } : { patch: place };
  };
  const { submodules } = result;
  return {
    ...result,
    ...here(result.patch),
    ...(submodules && { submodules: submodules.map((one) => Object.assign({}, one, here(one.patch))) }),
  };
}
