import type { AnyStateMachine, AnyTransitionDefinition, InspectionEvent } from 'xstate';
import { nodesOf, transitionIdsOf } from './transition-ids.ts';
import { recordTransitions } from './transition-record.ts';

/** Notes which transitions of a machine were taken, on the simulated clock. */
export class TransitionCoverage {
  readonly #ids: ReadonlyMap<AnyTransitionDefinition, string>;
  readonly #taken = new Set<string>();

  constructor(machine: AnyStateMachine) {
    this.#ids = transitionIdsOf(machine);
  }

  readonly inspect = (event: InspectionEvent): void => {
    if (event.type !== '@xstate.microstep') return;
    for (const transition of event._transitions) {
      const id = this.#ids.get(transition);
      if (id === undefined || this.#taken.has(id)) continue;
      this.#taken.add(id);
      recordTransitions('simulated', [id]);
    }
  };

  get total(): number {
    return this.#ids.size;
  }

  get taken(): number {
    return this.#taken.size;
  }

  missing(): string[] {
    return [...this.#ids.values()].filter((id) => !this.#taken.has(id)).toSorted();
  }
}

/** The types of a machine's own timer events; graph traversal sends them as if the clock had. */
export function timerEventTypes(machine: AnyStateMachine): string[] {
  const types = new Set<string>();
  for (const node of nodesOf(machine)) for (const type of node.transitions.keys()) types.add(type);
  return [...types].filter((type) => type.startsWith('xstate.after.'));
}
