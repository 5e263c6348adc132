import type { BatchRow } from '@opencode-manager/playground/batch';
import { applyEvent, newRecord } from '@opencode-manager/runs/machine';
import { taskState, type AttemptEnded, type JournalRow, type RunEnded, type TaskRecord } from '@opencode-manager/runs/read';
import { tokensOf } from '../render/index.ts';

interface Entry {
  readonly record: TaskRecord;
  readonly order: number;
  readonly sinceMs: number | null;
  readonly tokens: number;
  readonly costUsd: number | null;
  readonly durationMs: number | null;
  readonly error: BatchRow['error'];
}

/** What begins another state of a task. */
const moves: ReadonlySet<JournalRow['event']['type']> = new Set(['attempt.intended', 'attempt.ended', 'task.skipped']);

/**
 * The tasks of a run as rows, from the rows of its journal: some 500 bytes a task, whatever their answers. An event costs a few microseconds.
 */
export class RunTable {
  readonly #entries = new Map<string, Entry>();
  readonly #content: boolean;
  /** Why its manager let go of it; null while one has it, or has died with it. */
  endedBecause: RunEnded['reason'] | null = null;
  /** Number of the newest manager. */
  generation = 0;
  lastSequence = 0;
  lastAtMs = 0;

  /** `content`: the words of errors may be shown, in which a provider may repeat a prompt. */
  constructor({ content }: { readonly content: boolean }) {
    this.#content = content;
  }

  /** Takes the next row; gives the key of the task that it changes, if it is of one. */
  apply({ event, sequence, atMs }: JournalRow): string | undefined {
    this.lastSequence = sequence;
    this.lastAtMs = atMs;
    if (event.type === 'run.opened') {
      this.generation = event.generation;
      this.endedBecause = null;
      return undefined;
    }
    if (event.type === 'run.ended') {
      this.endedBecause = event.reason;
      return undefined;
    }
    const known = this.#entries.get(event.key);
    // The digests of a task's fields are three times as long as all else that is known of it.
    const slim = event.type === 'task.added' ? { ...event, fields: {} } : event;
    if (!known) {
      if (slim.type === 'task.added') this.#entries.set(event.key, begun(newRecord(slim), this.#entries.size));
      return event.key;
    }
    const next = { ...known, record: applyEvent(known.record, slim), sinceMs: moves.has(event.type) ? atMs : known.sinceMs };
    this.#entries.set(event.key, event.type === 'attempt.ended' ? { ...next, ...this.#ended(known, event) } : next);
    return event.key;
  }

  /** Those of tasks, or all, in their order; without those that the source names no more. `isHeld`: a process has the run. */
  *rows(isHeld: boolean, keys: Iterable<string> = this.#entries.keys()): Generator<BatchRow> {
    for (const key of keys) {
      const entry = this.#entries.get(key);
      if (entry && !entry.record.isDropped) yield rowOf(entry, isHeld);
    }
  }

  /** Of an attempt in flight, or that broke off. */
  open(key: string): { readonly attempt: number; readonly sinceMs: number | null } | undefined {
    const entry = this.#entries.get(key);
    return entry?.record.open ? { attempt: entry.record.open.attempt, sinceMs: entry.sinceMs } : undefined;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  #ended({ tokens, costUsd }: Entry, { result, error }: AttemptEnded): Partial<Entry> {
    return {
      tokens: tokens + tokensOf(result.usage),
      costUsd: costUsd === null || result.cost_usd === null ? null : costUsd + result.cost_usd,
      durationMs: result.duration_ms,
      error: errorOf(error, this.#content),
    };
  }
}

/** An error as a page may see it. */
export function errorOf(error: AttemptEnded['error'], content: boolean): BatchRow['error'] {
  return error && { code: error.code, ...(content && { message: error.message }) };
}

function begun(record: TaskRecord, order: number): Entry {
  return { record, order, sinceMs: null, tokens: 0, costUsd: 0, durationMs: null, error: null };
}

function rowOf({ record, order, sinceMs, tokens, costUsd, durationMs, error }: Entry, isHeld: boolean): BatchRow {
  const { key, attempts, open, after, blockedBy, end } = record;
  const state = taskState(record, isHeld);
  return {
    key,
    order,
    state,
    sinceMs: state === 'not_started' ? null : sinceMs,
    attempt: attempts,
    tokens,
    costUsd,
    durationMs,
    error,
    sessionId: open?.sessionId ?? null,
    after: state === 'not_started' ? after : [],
    blockedBy,
    resetAtMs: state === 'waiting' ? (end?.resetAtMs ?? null) : null,
  };
}
