import type { PlainState, PlainTransition } from '@opencode-manager/actors/machines';

type EdgeKind = 'event' | 'always' | 'delay';

/** One transition. Its id is `source|event|index`, the index among those of the same source and event. */
export interface ChartTransition {
  readonly id: string;
  readonly source: string;
  /** Absent: the state stays, actions alone run. */
  readonly target?: string;
  readonly kind: EdgeKind;
  readonly eventType: string;
  /** What is written on the arrow: the event, or `after settleDelay`, or `always`. */
  readonly label: string;
  readonly guard?: string;
  readonly actions: readonly string[];
  readonly description?: string;
}

/** One state. */
export interface ChartNode {
  readonly id: string;
  /** Dotted path below the machine; empty for the machine itself. */
  readonly path: string;
  readonly key: string;
  readonly type: string;
  readonly parent?: string;
  readonly initial: boolean;
  readonly entry: readonly string[];
  readonly description?: string;
  /** Transitions that keep the state. */
  readonly inner: readonly ChartTransition[];
  readonly depth: number;
}

/** An arrow: all transitions from one state to another. */
export interface ChartEdge {
  readonly id: string;
  readonly source: string;
  readonly target: string;
  readonly transitions: readonly ChartTransition[];
}

export interface ChartModel {
  readonly id: string;
  readonly nodes: readonly ChartNode[];
  readonly edges: readonly ChartEdge[];
  readonly transitions: readonly ChartTransition[];
}

/** The graph of a machine: states, arrows, and what stays inside a state. */
export function chartModel(root: PlainState): ChartModel {
  const states = statesOf(root, undefined, 0, false);
  const nodes = states.map(({ state, parent, depth, initial }) => nodeOf(root, state, parent, depth, initial));
  const transitions = states.flatMap(({ state }) => transitionsOf(state));
  return { id: root.id, nodes, edges: arrowsOf(transitions), transitions };
}

interface Placed {
  readonly state: PlainState;
  readonly parent: string | undefined;
  readonly depth: number;
  readonly initial: boolean;
}

function statesOf(state: PlainState, parent: string | undefined, depth: number, initial: boolean): Placed[] {
  const first = state.initial?.target?.[0];
  const children = Object.values(state.states).flatMap((child) => statesOf(child, state.id, depth + 1, first === `#${child.id}`));
  return [{ state, parent, depth, initial }, ...children];
}

function nodeOf(root: PlainState, state: PlainState, parent: string | undefined, depth: number, initial: boolean): ChartNode {
  return {
    id: state.id,
    path: state.id === root.id ? '' : state.id.slice(root.id.length + 1),
    key: state.key,
    type: state.type,
    ...(parent !== undefined && { parent }),
    initial,
    entry: actionNames(state.entry),
    ...(state.description !== undefined && { description: state.description }),
    inner: transitionsOf(state).filter(({ target }) => target === undefined),
    depth,
  };
}

function transitionsOf(state: PlainState): ChartTransition[] {
  const counts = new Map<string, number>();
  return [...state.transitions, ...state.always].map((transition) => {
    const index = counts.get(transition.eventType) ?? 0;
    counts.set(transition.eventType, index + 1);
    return transitionOf(state.id, transition, index);
  });
}

function transitionOf(source: string, transition: PlainTransition, index: number): ChartTransition {
  const { eventType, target, delay, description } = transition;
  const guard = guardName(transition.guard);
  const kind: EdgeKind = eventType === '' ? 'always' : delay === undefined ? 'event' : 'delay';
  return {
    // As steps name it.
    id: `${source}|${eventType}|${index}`,
    source,
    ...(target?.[0] !== undefined && { target: target[0].replace(/^#/, '') }),
    kind,
    eventType,
    label: kind === 'always' ? 'always' : kind === 'delay' ? `after ${delay}` : eventType,
    ...(guard !== undefined && { guard }),
    actions: actionNames(transition.actions),
    ...(description !== undefined && { description }),
  };
}

function arrowsOf(transitions: readonly ChartTransition[]): ChartEdge[] {
  const arrows = Map.groupBy(
    transitions.filter(({ target }) => target !== undefined),
    ({ source, target }) => `${source}>${target}`,
  );
  return [...arrows].map(([id, list]) => ({ id, source: list[0]!.source, target: list[0]!.target!, transitions: list }));
}

/** `phaseIs: settling`, the name with its parameters. */
function guardName(guard: PlainTransition['guard']): string | undefined {
  if (guard === undefined || typeof guard === 'string') return guard;
  const values = Object.values(guard.params ?? {}).map(String);
  return values.length === 0 ? guard.type : `${guard.type}: ${values.join(', ')}`;
}

function actionNames(actions: PlainState['entry'] = []): string[] {
  return actions.map((action) => (typeof action === 'string' ? action : action.type)).filter((name) => !name.startsWith('xstate.'));
}

/** Ids of a state and of what it lies in, innermost first. */
export function selfAndAncestors(model: ChartModel, id: string): string[] {
  const node = model.nodes.find((one) => one.id === id);
  if (!node) return [];
  return [id, ...(node.parent === undefined ? [] : selfAndAncestors(model, node.parent))];
}
