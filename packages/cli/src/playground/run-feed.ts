import { existsSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isManagerError } from '@opencode-manager/core';
import type { BatchHead, BatchRow, BatchTask } from '@opencode-manager/playground/batch';
import { readRunFile, type RunFile } from '@opencode-manager/runs';
import { lookAtRun, statusByJournal, type RunLook } from '@opencode-manager/runs/look';
import { JournalReader, runLayout } from '@opencode-manager/runs/read';
import { RunTable } from './run-table.ts';
import { readRunTask } from './run-task.ts';

/** How often the journal of a run is asked for new rows while a process has it and a page is open; of another run, which may be resumed. */
const liveMs = 300;
const restingMs = 2000;

/** How often the small files of a live run are read: who has it, and why nothing starts. */
const filesMs = 1000;

/** A comment now and then shows that the connection lives. */
const heartbeatMs = 15_000;

/** Rows of one message, and of the journal before other work has its turn: some milliseconds each. */
const sliceRows = 1000;

/** A reader that takes nothing while this much waits is cut off; it comes back and begins anew. */
const backlogBytes = 16 * 1024 * 1024;

export interface RunFeedOptions {
  /** Prompts, model text and the words of errors are told. */
  readonly content: boolean;
}

/**
 * The run of a directory as a batch, for pages, whether a process has it or not. Guarantees:
 * - nothing is written, and the run's lock is not touched;
 * - each connection begins with the whole run, and goes on with what changes;
 * - without a page that is open nothing is read;
 * - a run whose `run.json` is not written yet is waited for.
 */
export class RunFeed implements Disposable {
  readonly #path: string;
  readonly #content: boolean;
  readonly #readers = new Set<ServerResponse>();
  readonly #table: RunTable;
  #run: RunFile | undefined;
  #files: RunLook | undefined;
  #filesAtMs = 0;
  #reader: JournalReader | undefined;
  #timer: NodeJS.Timeout | undefined;
  #heartbeatAtMs = 0;
  /** What the pages were told last: whose run it is, and its head. */
  #told = '';
  #head = '';
  /** Keys of tasks that have changed since. */
  #changed = new Set<string>();
  /** Set while rows are read. */
  #looking: Promise<void> | undefined;

  /** `path`: of the run's directory, absolute. Nothing is read. */
  constructor(path: string, { content }: RunFeedOptions) {
    this.#path = path;
    this.#content = content;
    this.#table = new RunTable({ content });
  }

  /** Adds a page: an event stream of `reset`, `head` and `rows`, until it closes. */
  async add(response: ServerResponse): Promise<void> {
    response.write('retry: 500\n\n');
    response.on('close', () => this.#remove(response));
    // A write to a reader that has just gone must not end the run.
    response.on('error', () => this.#remove(response));
    try {
      await this.#look();
    } catch (error) {
      return this.#fail(error, [response]);
    }
    if (response.destroyed) return;
    if (this.#readers.size === 0) this.#told = this.#whose();
    this.#tellAll(response);
    this.#readers.add(response);
    this.#schedule();
  }

  /** One task by itself; undefined when the run has none of this key. `attempt`: the newest that has ended by default. */
  async task(key: string, attempt?: number): Promise<BatchTask | undefined> {
    await this.#look();
    if (!this.#table.has(key)) return undefined;
    return readRunTask({ path: this.#path, journal: this.#journal(), content: this.#content, open: this.#table.open(key) }, key, attempt);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    for (const response of this.#readers) response.end('event: end\ndata: {}\n\n');
    this.#readers.clear();
    this.#reader?.close();
    this.#reader = undefined;
  }

  #remove(response: ServerResponse): void {
    this.#readers.delete(response);
    if (this.#readers.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #schedule(): void {
    const delayMs = this.#standing() === 'live' ? liveMs : restingMs;
    this.#timer ??= setTimeout(() => void this.#follow(), delayMs).unref();
  }

  async #follow(): Promise<void> {
    this.#timer = undefined;
    try {
      await this.#look();
    } catch (error) {
      return this.#fail(error);
    }
    // What is in flight reads otherwise without a process, and a manager that takes the run up may drop tasks.
    if (this.#whose() !== this.#told) for (const response of this.#readers) this.#tellAll(response);
    this.#told = this.#whose();
    this.#tellChanges();
    this.#beat();
    if (this.#readers.size > 0) this.#schedule();
  }

  #whose(): string {
    return `${this.#standing()} ${this.#table.generation}`;
  }

  /** Reads what is new; calls that come while one is under way share it. */
  #look(): Promise<void> {
    return (this.#looking ??= this.#read().finally(() => (this.#looking = undefined)));
  }

  async #read(): Promise<void> {
    const { runFile } = runLayout(this.#path);
    if (!this.#run && !existsSync(runFile)) return;
    this.#run ??= await readRunFile(runFile);
    const { generation, endedBecause } = this.#table;
    // Before the journal: who lets go of the run writes the row of its end first.
    if (Date.now() - this.#filesAtMs >= filesMs) await this.#readFiles();
    await this.#applyNew();
    // Another process has it now, or the one that had it is about to let go.
    if (this.#table.generation !== generation || this.#table.endedBecause !== endedBecause) await this.#readFiles();
  }

  async #readFiles(): Promise<void> {
    this.#filesAtMs = Date.now();
    this.#files = await lookAtRun(this.#path);
  }

  async #applyNew(): Promise<void> {
    let count = 0;
    for (const row of this.#journal().rows({ after: this.#table.lastSequence })) {
      const key = this.#table.apply(row);
      if (key !== undefined) this.#changed.add(key);
      count += 1;
      if (count % sliceRows === 0) await nextTurn();
    }
  }

  /** `live` as long as nothing is known. */
  #standing(): BatchHead['standing'] {
    if (!this.#files) return 'live';
    const status = statusByJournal(this.#files.holder, this.#table.endedBecause);
    if (status === 'running') return 'live';
    return status === 'interrupted' || status === 'elsewhere' ? status : 'ended';
  }

  #journal(): JournalReader {
    return (this.#reader ??= new JournalReader(runLayout(this.#path).journal));
  }

  #headText(): string {
    if (!this.#run) return '';
    const { id, created_at: createdAt, configuration } = this.#run;
    const { concurrency } = (configuration['settings'] ?? {}) as { readonly concurrency?: unknown };
    const holding = this.#files?.state?.['holding'];
    const head: BatchHead = {
      id,
      path: this.#path,
      createdAtMs: Date.parse(createdAt),
      lastAtMs: this.#table.lastAtMs,
      standing: this.#standing(),
      endedBecause: this.#table.endedBecause,
      concurrency: typeof concurrency === 'number' ? concurrency : null,
      holding: typeof holding === 'string' ? holding : null,
    };
    return `event: head\ndata: ${JSON.stringify(head)}\n\n`;
  }

  #tellAll(response: ServerResponse): void {
    response.write(`event: reset\ndata: {}\n\n${this.#headText()}`);
    this.#tellRows(response, undefined);
    response.write('event: whole\ndata: {}\n\n');
  }

  #tellChanges(): void {
    const [head, changed] = [this.#headText(), this.#changed];
    const isNew = head !== this.#head;
    this.#head = head;
    this.#changed = new Set();
    for (const response of this.#readers) {
      if (response.writableLength > backlogBytes) {
        response.destroy();
        continue;
      }
      if (isNew) response.write(head);
      if (changed.size > 0) this.#tellRows(response, changed);
    }
  }

  #tellRows(response: ServerResponse, keys: Iterable<string> | undefined): void {
    const standing = this.#standing();
    const held = standing === 'live' || standing === 'elsewhere';
    let part: BatchRow[] = [];
    const tell = () => {
      if (part.length > 0) response.write(`event: rows\ndata: ${JSON.stringify(part)}\n\n`);
      part = [];
    };
    for (const row of this.#table.rows(held, keys)) {
      part.push(row);
      if (part.length === sliceRows) tell();
    }
    tell();
  }

  #beat(): void {
    if (Date.now() - this.#heartbeatAtMs < heartbeatMs) return;
    this.#heartbeatAtMs = Date.now();
    for (const response of this.#readers) response.write(': here\n\n');
  }

  /** The directory was removed, or is damaged: the pages keep what they know. */
  #fail(error: unknown, readers: Iterable<ServerResponse> = this.#readers): void {
    const message = isManagerError(error) ? error.message : `The run cannot be read any more: ${String(error)}`;
    for (const response of readers) response.end(`event: problem\ndata: ${JSON.stringify({ message })}\n\n`);
  }
}
