import type { PlainState, PlainTransition } from './definition.ts';

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
    id: transitionId(source, eventType, index),
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

/** The id under which records name a transition. */
export function transitionId(source: string, eventType: string, index: number): string {
  return `${source}|${eventType}|${index}`;
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

/**
 * The transitions that lead from one state to another when a record does not name them: a direct one, preferably on
 * the event, then eventless ones. Empty when no such way is drawn.
 */
export function likelyTransitions(model: ChartModel, from: string, to: string, eventType: string): readonly ChartTransition[] {
  const sources = selfAndAncestors(model, `${model.id}.${from}`);
  const target = `${model.id}.${to}`;
  const first = model.transitions.filter(({ source, target: aim }) => aim !== undefined && sources.includes(source));
  const ranked = first.toSorted((a, b) => rank(a, eventType) - rank(b, eventType));
  for (const step of ranked) if (entered(model, step.target!) === target) return [step];
  for (const step of ranked) {
    const next = model.transitions.find(
      (one) =>
        one.kind === 'always' &&
        one.source === entered(model, step.target!) &&
        one.target !== undefined &&
        entered(model, one.target) === target,
    );
    if (next) return [step, next];
  }
  return [];
}

const rank = ({ eventType, kind }: ChartTransition, wanted: string): number => (eventType === wanted ? 0 : kind === 'always' ? 1 : 2);

/** A compound state is entered at its initial state. */
function entered(model: ChartModel, id: string): string {
  const child = model.nodes.find(({ parent, initial }) => parent === id && initial);
  return child ? entered(model, child.id) : id;
}

/** Ids of a state and of what it lies in, innermost first. */
export function selfAndAncestors(model: ChartModel, id: string): string[] {
  const node = model.nodes.find((one) => one.id === id);
  if (!node) return [];
  return [id, ...(node.parent === undefined ? [] : selfAndAncestors(model, node.parent))];
}
