import { getStateNodes } from 'xstate/graph';
import type { AnyStateMachine, AnyTransitionDefinition, InspectionEvent } from 'xstate';

/** Notes which transitions of a machine were taken. */
export class TransitionCoverage {
  readonly #keys = new Map<AnyTransitionDefinition, string>();
  readonly #taken = new Set<string>();

  constructor(machine: AnyStateMachine) {
    for (const node of [machine.root, ...getStateNodes(machine)]) {
      const listed = [...node.transitions.values()].flat();
      for (const [index, transition] of [...listed, ...(node.always ?? [])].entries()) {
        const target = transition.target?.map(({ id }: { id: string }) => id).join() ?? 'stays';
        this.#keys.set(transition, `${node.id} --${transition.eventType || 'always'} #${index}--> ${target}`);
      }
    }
  }

  readonly inspect = (event: InspectionEvent): void => {
    if (event.type !== '@xstate.microstep') return;
    for (const transition of event._transitions) {
      const key = this.#keys.get(transition);
      if (key) this.#taken.add(key);
    }
  };

  get total(): number {
    return new Set(this.#keys.values()).size;
  }

  get taken(): number {
    return this.#taken.size;
  }

  missing(): string[] {
    return [...new Set(this.#keys.values())].filter((key) => !this.#taken.has(key)).toSorted();
  }
}

/** The types of a machine's own timer events; graph traversal sends them as if the clock had. */
export function timerEventTypes(machine: AnyStateMachine): string[] {
  const types = new Set<string>();
  for (const node of [machine.root, ...getStateNodes(machine)]) for (const type of node.transitions.keys()) types.add(type);
  return [...types].filter((type) => type.startsWith('xstate.after.'));
}
