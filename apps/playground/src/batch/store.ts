import type { EventSourceMessage } from 'eventsource-parser';
import { ask } from '../app/access.ts';
import { EventStream, type LinkState } from '../app/event-stream.ts';
import type { BatchHead, BatchRow, BatchTask } from './format.ts';

/** A run at one moment. Rows are replaced, not changed. */
export interface BatchMoment {
  readonly head: BatchHead | undefined;
  readonly rows: ReadonlyMap<string, BatchRow>;
  /** Why the run cannot be read any more. */
  readonly problem: string | null;
  /** Grows with every change. */
  readonly version: number;
}

/** The tasks of a run, as its feed tells them. Readers are told once a frame at most. */
export class BatchStore {
  readonly #listeners = new Set<() => void>();
  readonly #stream: EventStream;
  #rows = new Map<string, BatchRow>();
  /** Takes the place of the rows when a connection that begins anew has told all of them, so that the page is never half empty. */
  #next: Map<string, BatchRow> | undefined;
  #head: BatchHead | undefined;
  #problem: string | null = null;
  #version = 0;
  #moment: BatchMoment | undefined;
  #scheduled = false;

  constructor(onState: (state: LinkState) => void) {
    this.#stream = new EventStream('./batch', { onEvent: (event) => this.#onEvent(event), onState });
  }

  close(): void {
    this.#stream.close();
  }

  moment(): BatchMoment {
    return (this.#moment ??= { head: this.#head, rows: this.#rows, problem: this.#problem, version: this.#version });
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  #onEvent({ event, data }: EventSourceMessage): void {
    if (event === 'reset') this.#next = new Map();
    else if (event === 'head') this.#head = JSON.parse(data) as BatchHead;
    else if (event === 'rows') this.#take(JSON.parse(data) as BatchRow[]);
    else if (event === 'whole') this.#begin();
    else if (event === 'problem') this.#fail((JSON.parse(data) as { readonly message: string }).message);
    this.#changed();
  }

  #take(rows: readonly BatchRow[]): void {
    const target = this.#next ?? this.#rows;
    for (const row of rows) target.set(row.key, row);
  }

  #begin(): void {
    this.#rows = this.#next ?? this.#rows;
    this.#next = undefined;
    this.#problem = null;
  }

  #fail(message: string): void {
    this.#problem = message;
    this.#stream.close();
  }

  #changed(): void {
    this.#version += 1;
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#moment = undefined;
      for (const listener of this.#listeners) listener();
    });
  }
}

/** A task with its attempts, and what was said in one of them. Rejects with a sentence. */
export async function readTask(key: string, attempt: number | undefined, signal: AbortSignal): Promise<BatchTask> {
  const query = new URLSearchParams({ key, ...(attempt !== undefined && { attempt: String(attempt) }) });
  const response = await ask(`./task?${query}`, { signal });
  const answer = (await response.json()) as BatchTask & { readonly message?: string };
  if (!response.ok) throw new Error(answer.message ?? `The task cannot be read (${response.status}).`);
  return answer;
}
