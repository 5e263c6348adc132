import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from 'xstate';

/** One transition, as a drawing needs it. */
export interface TransitionDescription {
  /** Event type; `null` for one that is taken as soon as its guard holds. */
  readonly event: string | null;
  /** The name of the delay after which it is taken, for timers. */
  readonly delay: string | null;
  readonly guard: string | null;
  /** Ids of the states it leads to; empty when the state stays. */
  readonly targets: readonly string[];
  readonly actions: readonly string[];
  readonly description: string | null;
}

/** One state with what is below it. */
export interface StateDescription {
  readonly id: string;
  readonly key: string;
  readonly type: string;
  readonly initial: string | null;
  readonly description: string | null;
  readonly entry: readonly string[];
  readonly transitions: readonly TransitionDescription[];
  readonly states: readonly StateDescription[];
}

/**
 * A machine as plain JSON, eventless transitions included (XState's own `definition` leaves those out).
 *
 * @example
 * const { states } = describeMachine(sessionMachine)
 * states.map(({ key }) => key) // ['idle', 'active', 'error', 'dead']
 * @public
 */
export function describeMachine(machine: AnyStateMachine): StateDescription {
  return describeState(machine.root as AnyStateNode);
}

function describeState(node: AnyStateNode): StateDescription {
  const listed = [...node.transitions.values()].flat() as AnyTransitionDefinition[];
  return {
    id: node.id,
    key: node.key,
    type: node.type,
    initial: node.initial.target?.[0]?.id ?? null,
    description: node.description ?? null,
    entry: actionNames(node.entry),
    transitions: [...listed, ...(node.always ?? [])].map(describeTransition),
    states: Object.values(node.states).map(describeState),
  };
}

function describeTransition(transition: AnyTransitionDefinition): TransitionDescription {
  const { eventType, guard, target, actions, description } = transition;
  const timer = /^xstate\.after\.([^.]+)\./.exec(eventType);
  return {
    event: timer || eventType === '' ? null : eventType,
    delay: timer?.[1] ?? null,
    guard: guardName(guard),
    targets: target?.map(({ id }) => id) ?? [],
    actions: actionNames(actions),
    description: description ?? null,
  };
}

/** `phaseIs(settling)`: the name with its parameters. */
function guardName(guard: unknown): string | null {
  if (typeof guard === 'string') return guard;
  if (typeof guard !== 'object' || guard === null || !('type' in guard)) return null;
  const params = 'params' in guard && guard.params ? Object.values(guard.params) : [];
  return params.length > 0 ? `${String(guard.type)}(${params.join(', ')})` : String(guard.type);
}

/** Names of our own actions; XState's timers show as delays. */
function actionNames(actions: readonly unknown[]): string[] {
  return actions
    .map((action) => (typeof action === 'string' ? action : ((action as { type?: string }).type ?? '')))
    .filter((name) => name !== '' && !name.startsWith('xstate.'));
}
