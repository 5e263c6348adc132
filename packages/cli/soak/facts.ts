import { DatabaseSync } from 'node:sqlite';
import { runLayout, type AttemptEnded, type JournalEvent } from '@opencode-manager/runs/read';
import type { RecordedCall } from '@opencode-manager/testing';
import type { Lived } from './lives.ts';
import type { SoakOptions } from './options.ts';
import type { PlannedTask } from './plan.ts';
import type { Place } from './place.ts';

interface Row {
  readonly sequence: number;
  readonly atMs: number;
  readonly event: JournalEvent;
}

type Intended = Extract<JournalEvent, { readonly type: 'attempt.intended' }>;

/** Everything that the checks look at, once the run is over. */
export interface Facts extends Lived {
  readonly options: SoakOptions;
  readonly place: Place;
  readonly tasks: readonly PlannedTask[];
  readonly rows: readonly Row[];
  readonly intended: readonly (Intended & { readonly atMs: number })[];
  readonly ended: readonly (AttemptEnded & { readonly sequence: number })[];
  /** The newest final end of each task. */
  readonly final: ReadonlyMap<string, AttemptEnded & { readonly sequence: number }>;
  readonly calls: readonly RecordedCall[];
}

export function factsOf(options: SoakOptions, place: Place, tasks: readonly PlannedTask[], lived: Lived): Facts {
  const rows = rowsOf(lived.path);
  const ended = rows.flatMap(({ event, sequence }) => (event.type === 'attempt.ended' ? [{ ...event, sequence }] : []));
  return {
    ...lived,
    options,
    place,
    tasks,
    rows,
    intended: rows.flatMap(({ event, atMs }) => (event.type === 'attempt.intended' ? [{ ...event, atMs }] : [])),
    ended,
    final: new Map(ended.filter(({ final }) => final).map((end) => [end.key, end])),
    calls: place.model.turnCalls,
  };
}

/** Read as SQL says it, by nothing of the project. */
function rowsOf(path: string): Row[] {
  const database = new DatabaseSync(runLayout(path).journal, { readOnly: true });
  try {
    return database
      .prepare('SELECT sequence, at_ms, event FROM journal ORDER BY sequence')
      .all()
      .map(({ sequence, at_ms: atMs, event }) => ({
        sequence: Number(sequence),
        atMs: Number(atMs),
        event: JSON.parse(String(event)) as JournalEvent,
      }));
  } finally {
    database.close();
  }
}

/** Those that occur more than once. */
export function repeated(values: readonly string[]): string[] {
  return [...Map.groupBy(values, (value) => value)].filter(([, same]) => same.length > 1).map(([value]) => value);
}
