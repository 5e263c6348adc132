import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, inject } from 'vitest';
import { poolMachine, serverMachine, sessionMachine } from '../../src/machines/index.ts';
import { transitionIdsOf } from './transition-ids.ts';

/** On the real server, or by generated paths on the simulated clock. */
export type PlaceOfCoverage = 'real' | 'simulated';

/** What one test file writes when it is over. */
export interface TransitionRecord extends Readonly<Record<PlaceOfCoverage, readonly string[]>> {
  /** The ids of all transitions, by machine: the reader does not load the sources. */
  readonly all: Readonly<Record<string, readonly string[]>>;
}

declare module 'vitest' {
  interface ProvidedContext {
    /** Where test files leave their records. */
    readonly transitionRecords: string;
  }
}

const taken: Readonly<Record<PlaceOfCoverage, Set<string>>> = { real: new Set(), simulated: new Set() };

/** Notes transitions that were taken in this test file. */
export function recordTransitions(place: PlaceOfCoverage, ids: readonly string[]): void {
  for (const id of ids) taken[place].add(id);
}

/** One file for each test file: those that run at the same time do not meet. */
afterAll(() => {
  if (taken.real.size + taken.simulated.size === 0) return;
  const machines = [sessionMachine, poolMachine, serverMachine];
  const all = Object.fromEntries(machines.map((machine) => [machine.id, [...transitionIdsOf(machine).values()]]));
  const record: TransitionRecord = { real: [...taken.real], simulated: [...taken.simulated], all };
  writeFileSync(join(inject('transitionRecords'), `${randomUUID()}.json`), JSON.stringify(record));
});
