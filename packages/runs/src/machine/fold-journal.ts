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
 * Rebuilds the state of every task from the rows of a journal, the first one first. Linear in the rows. A row of a task that was never
 * added changes nothing.
 *
 * @example
 * const history = foldJournal(journal.read())
 * const planned = planResume(history, tasks, {})
 * @public
 */
export function foldJournal(rows: Iterable<JournalRow>): RunHistory {
  const tasks = new Map<string, TaskRecord>();
  let { generation, endedBecause, lastSequence, spent } = noHistory;
  const samples: Taken[] = [];
  for (const { event, sequence } of rows) {
    lastSequence = sequence;
    if (event.type === 'attempt.ended') {
      const taken = addedBy(event, tasks.get(event.key)?.end?.taken);
      spent = addSpent(spent, taken);
      if (event.billed) samples.push(taken);
    }
    if (event.type === 'run.opened') [generation, endedBecause] = [event.generation, null];
    else if (event.type === 'run.ended') endedBecause = event.reason;
    else {
      const known = tasks.get(event.key) ?? (event.type === 'task.added' ? newRecord(event) : undefined);
      if (known) tasks.set(event.key, tasks.has(event.key) ? applyEvent(known, event) : known);
    }
  }
  return { generation, tasks: [...tasks.values()], endedBecause, lastSequence, spent, samples: samples.slice(-mostSamples) };
}
