import type { AnyStateMachine, AnyStateNode } from 'xstate';

/** A transition as `machine.definition` gives it, read back from JSON. */
export interface PlainTransition {
  /** Empty for one that is taken as soon as its guard holds. */
  readonly eventType: string;
  readonly source: string;
  /** Ids of states, each with `#` before it; absent when the state stays. */
  readonly target?: readonly string[];
  readonly actions?: readonly (string | { readonly type: string })[];
  readonly guard?: string | { readonly type: string; readonly params?: Readonly<Record<string, unknown>> };
  /** Name or milliseconds, for timers. */
  readonly delay?: string | number;
  readonly reenter?: boolean;
  readonly description?: string;
}

/** A state as `machine.definition` gives it, read back from JSON. */
export interface PlainState {
  readonly id: string;
  readonly key: string;
  readonly type: string;
  readonly initial?: { readonly target?: readonly string[] };
  readonly states: Readonly<Record<string, PlainState>>;
  readonly transitions: readonly PlainTransition[];
  /** XState leaves eventless transitions out of `definition`; they are added from the same state nodes. */
  readonly always: readonly PlainTransition[];
  readonly entry?: readonly (string | { readonly type: string })[];
  readonly exit?: readonly (string | { readonly type: string })[];
  readonly description?: string;
}

/**
 * A machine as plain JSON, for drawings and for traces: XState's own `definition`, with the eventless transitions that it
 * leaves out.
 *
 * @example
 * Object.keys(plainDefinition(sessionMachine).states) // ['idle', 'active', 'error', 'dead']
 * @public
 */
export function plainDefinition(machine: AnyStateMachine): PlainState {
  return withAlways(JSON.parse(JSON.stringify(machine.definition)) as PlainState, machine.root);
}

function withAlways(state: PlainState, node: AnyStateNode): PlainState {
  const always = (JSON.parse(JSON.stringify(node.always ?? [])) as PlainTransition[]).map((one) => Object.assign(one, { eventType: '' }));
  const states = Object.fromEntries(Object.entries(state.states).map(([key, child]) => [key, withAlways(child, node.states[key]!)]));
  return { ...state, always, states };
}
