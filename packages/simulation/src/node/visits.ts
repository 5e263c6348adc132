import type { MachineStep } from '@opencode-manager/actors/machines';

/** Notes the states that a step was in, those that it only passed too, and the transitions that it took. */
export function noteVisits(visited: Set<string>, { machine, from, path, transitions }: MachineStep): void {
  const sources = transitions.map((id) => id.slice(0, id.indexOf('|')));
  for (const state of [from === null ? machine : `${machine}.${from}`, `${machine}.${path}`, ...sources]) noteState(visited, state);
  for (const id of transitions) visited.add(id);
}

/** Whoever is in a state is in those around it. */
function noteState(visited: Set<string>, state: string): void {
  for (let id = state; id !== ''; id = id.slice(0, Math.max(0, id.lastIndexOf('.')))) {
    if (visited.has(id)) return;
    visited.add(id);
  }
}
