import type { TaskResult } from '@opencode-manager/actors';
import { addSpent } from '@opencode-manager/actors/hosts';
import type { JournalRow } from '../journal/events.ts';

/** What was done before in the session that an attempt goes on in. */
export interface EarlierParts {
  readonly result: TaskResult;
  /** How long its task has waited since, and before that, in milliseconds. */
  readonly parkedMs: number;
}

interface Parked extends EarlierParts {
  /** Since when it waits; null while it does not. */
  readonly sinceMs: number | null;
}

/** Knows by the rows of a journal what each parked task had done, and how long it was parked. */
export class Parts {
  readonly #byKey = new Map<string, Parked>();
  readonly #models = new Map<string, string>();

  note({ event, atMs }: JournalRow): void {
    if (event.type === 'task.added') {
      this.#byKey.delete(event.key);
      this.#models.delete(event.key);
    } else if (event.type === 'attempt.intended') this.#begin(event.key, event.continues !== undefined, atMs);
    else if (event.type === 'attempt.ended' && event.outcome === 'quota_exhausted' && !event.final) {
      const { key, result } = event;
      this.#byKey.set(key, { result, parkedMs: result.parked_ms ?? 0, sinceMs: atMs });
      if (result.model !== null && !this.#models.has(key)) this.#models.set(key, result.model);
    }
  }

  #begin(key: string, isFurther: boolean, atMs: number): void {
    const parked = this.#byKey.get(key);
    if (!parked) return;
    if (!isFurther) this.#byKey.delete(key);
    else if (parked.sinceMs !== null) this.#byKey.set(key, { ...parked, parkedMs: parked.parkedMs + atMs - parked.sinceMs, sinceMs: null });
  }

  /** Undefined for a task that was not parked. */
  of(key: string): EarlierParts | undefined {
    return this.#byKey.get(key);
  }

  /** The model whose quota was spent first. */
  modelOf(key: string): string | undefined {
    return this.#models.get(key);
  }
}

/** The result of an attempt that goes on in a session: that of all its parts together. The wait between them is no part of its time. */
export function withParts(result: TaskResult, { result: before, parkedMs }: EarlierParts): TaskResult {
  const sum = (name: 'duration_ms' | 'gaps' | 'retries') => before[name] + result[name];
  return {
    ...result,
    ...addSpent(before, result),
    duration_ms: sum('duration_ms'),
    queued_ms: before.queued_ms,
    asks: [...before.asks, ...result.asks],
    gaps: sum('gaps'),
    retries: sum('retries'),
    parked_ms: parkedMs,
  };
}
