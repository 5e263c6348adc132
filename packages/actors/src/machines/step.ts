import type {
  AnyActorRef,
  AnyMachineSnapshot,
  AnyStateMachine,
  AnyStateNode,
  AnyTransitionDefinition,
  EventObject,
  InspectionEvent,
} from 'xstate';

/**
 * One event that a machine took (or ignored), with what came of it.
 * @public
 */
export interface MachineStep {
  /** Id of the machine: `pool`, `session` or `server`. */
  readonly machine: string;
  /** `pool`, `server`, or the id of the session. */
  readonly actor: string;
  /** Milliseconds, by the clock of who runs the machine. */
  readonly atMs: number;
  /** As the machine got it; timers come as `xstate.after.*`, the start as `xstate.init`. */
  readonly event: EventObject;
  /** State before, as a dotted path; `null` at the start. */
  readonly from: string | null;
  readonly path: string;
  /** Transitions taken, in order, each as `state id|event type|index among those of the same state and type`. */
  readonly transitions: readonly string[];
  /** Effects that were carried out, in order, by the names that the machine gives them: `submitTurn`, `startAssigned`. */
  readonly effects: readonly string[];
  /** The machine's memory afterwards: the very object, not a copy. It is never changed in place. */
  readonly context: unknown;
  /** The actor itself, for tools that try machines out: what it is sent here, its host knows nothing of. */
  readonly ref: Pick<AnyActorRef, 'send'>;
}

export interface StepInspectorOptions {
  readonly machine: AnyStateMachine;
  readonly actor: string;
  readonly now: () => number;
  readonly onStep: (step: MachineStep) => void;
  /** The actor takes an event just now; its step is told when it has done so. */
  readonly onEvent?: (event: EventObject) => void;
}

/**
 * An `inspect` function for one root actor, which tells its steps. What the actor sends others meanwhile is told by them,
 * before its own step.
 *
 * @example
 * const inspect = stepInspector({ machine: poolMachine, actor: 'pool', now: Date.now, onStep: (step) => console.log(step.path) })
 * createActor(poolMachine, { input: {}, inspect }).start()
 * @public
 */
export function stepInspector({ machine, actor, now, onStep, onEvent }: StepInspectorOptions): (event: InspectionEvent) => void {
  const ids = transitionIdsOf(machine);
  let from: string | null = null;
  let transitions: string[] = [];
  let effects: string[] = [];
  return (event) => {
    if (event.type === '@xstate.event') {
      transitions = [];
      effects = [];
      onEvent?.(event.event);
    } else if (event.type === '@xstate.action') {
      if (!event.action.type.startsWith('xstate.')) effects.push(event.action.type);
    } else if (event.type === '@xstate.microstep') {
      for (const one of event._transitions) transitions.push(ids.get(one) ?? `|${one.eventType}|0`);
    } else if (event.type === '@xstate.snapshot') {
      const { value, context } = event.snapshot as AnyMachineSnapshot;
      const path = statePath(value);
      const before = from;
      from = path;
      const ref = event.actorRef as AnyActorRef;
      onStep({ machine: machine.id, actor, atMs: now(), event: event.event, from: before, path, transitions, effects, context, ref });
      transitions = [];
      effects = [];
    }
  };
}

type StateValue = string | { readonly [key: string]: StateValue | undefined };

/** The value of a state as a dotted path: `active.running`. */
export function statePath(value: StateValue): string {
  if (typeof value === 'string') return value;
  const [[key, child] = ['', undefined]] = Object.entries(value);
  return child === undefined ? key : `${key}.${statePath(child)}`;
}

const idsOfMachine = new WeakMap<AnyStateMachine, ReadonlyMap<AnyTransitionDefinition, string>>();

/** Ids of all transitions of a machine; hundreds of actors share one machine. */
function transitionIdsOf(machine: AnyStateMachine): ReadonlyMap<AnyTransitionDefinition, string> {
  const known = idsOfMachine.get(machine);
  if (known) return known;
  const ids = new Map<AnyTransitionDefinition, string>();
  learn(machine.root, ids);
  idsOfMachine.set(machine, ids);
  return ids;
}

function learn(node: AnyStateNode, ids: Map<AnyTransitionDefinition, string>): void {
  for (const [eventType, list] of [...node.transitions, ['', node.always ?? []] as const]) {
    for (const [index, transition] of list.entries()) ids.set(transition, `${node.id}|${eventType}|${index}`);
  }
  for (const child of Object.values(node.states)) learn(child, ids);
}
