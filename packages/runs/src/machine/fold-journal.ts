import type { JournalRow, RunEnded } from '../journal/events.ts';
import type { Taken } from './run.types.ts';
import { addedBy, addSpent, mostSamples, nothingSpent } from './spent.ts';
import { applyEvent, newRecord, type TaskRecord } from './task-record.ts';

/** What is true of a run, by the rows of its journal. */
export interface RunHistory {
  /** Number of the newest manager; 0 before the first. */
  readonly generation: number;
  /** All tasks that were ever added, in the order in which they were added first. */
  readonly tasks: readonly TaskRecord[];
  /** Why the newest manager let go of the run; null when it has it, or has died. */
  readonly endedBecause: RunEnded['reason'] | null;
  readonly lastSequence: number;
  /** What all attempts have taken, and each of the newest. */
  readonly spent: Taken;
  readonly samples: readonly Taken[];
}

/** A run that has no rows. */
export const noHistory: RunHistory = { generation: 0, tasks: [], endedBecause: null, lastSequence: 0, spent: nothingSpent, samples: [] };

/**
 * The state of every task, kept up to a journal row by row, the first one first. A row of a task that was never added changes nothing.
 * @public
 */
export class JournalFold {
  readonly #tasks = new Map<string, TaskRecord>();
  readonly #samples: Taken[] = [];
  #state: Omit<RunHistory, 'tasks' | 'samples'> = noHistory;

  add({ event, sequence }: JournalRow): void {
    this.#state = { ...this.#state, lastSequence: sequence };
    if (event.type === 'attempt.ended') {
      const taken = addedBy(event, this.#tasks.get(event.key)?.end?.taken);
      this.#state = { ...this.#state, spent: addSpent(this.#state.spent, taken) };
      if (event.billed) this.#samples.push(taken);
      if (this.#samples.length > 2 * mostSamples) this.#samples.splice(0, mostSamples);
    }
    if (event.type === 'run.opened') this.#state = { ...this.#state, generation: event.generation, endedBecause: null };
    else if (event.type === 'run.ended') this.#state = { ...this.#state, endedBecause: event.reason };
    else {
      const known = this.#tasks.get(event.key) ?? (event.type === 'task.added' ? newRecord(event) : undefined);
      if (known) this.#tasks.set(event.key, this.#tasks.has(event.key) ? applyEvent(known, event) : known);
    }
  }

  task(key: string): TaskRecord | undefined {
    return this.#tasks.get(key);
  }

  tasks(): IterableIterator<TaskRecord> {
    return this.#tasks.values();
  }

  get lastSequence(): number {
    return this.#state.lastSequence;
  }

  history(): RunHistory {
    return { ...this.#state, tasks: [...this.#tasks.values()], samples: this.#samples.slice(-mostSamples) };
  }
}

/**
 * Rebuilds the state of every task from the rows of a journal, the first one first. Linear in the rows. A row of a task that was never
 * added changes nothing.
 *
 * @example
 * const history = foldJournal(journal.read())
 * const planned = planResume(history, tasks, {})
 * @public
 */
export function foldJournal(rows: Iterable<JournalRow>): RunHistory {
  const fold = new JournalFold();
  for (const row of rows) fold.add(row);
  return fold.history();
}
