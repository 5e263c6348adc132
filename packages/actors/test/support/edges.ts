import { createActor, SimulatedClock, type AnyStateMachine, type EventObject, type InspectionEvent } from 'xstate';
import { getAdjacencyMap } from 'xstate/graph';

interface Edge {
  readonly from: string;
  readonly event: EventObject;
  readonly to: string;
}

interface Exploration {
  readonly input: unknown;
  readonly events: (snapshot: never) => readonly EventObject[];
  /** Which states count as one. */
  readonly kindOf: (snapshot: never) => string;
  readonly stopWhen?: (snapshot: never) => boolean;
  /** What of a state tells two steps apart; its value, unless given. */
  readonly stepOf?: (snapshot: never) => unknown;
  /** For small graphs: a path for every edge, not one for each kind of step. */
  readonly everyEdge?: boolean;
}

interface Visited {
  readonly state: { readonly value: unknown };
  readonly transitions: Record<string, { readonly event: EventObject; readonly state: { readonly value: unknown } }>;
}

/**
 * Event sequences from the start of a machine that together take every edge of its graph: for each kind of step (state,
 * event, next state) the shortest path to it and the step itself.
 */
export function generatedPaths(
  machine: AnyStateMachine,
  { input, events, kindOf, stopWhen, stepOf = ({ value }: Visited['state']) => value, everyEdge = false }: Exploration,
): EventObject[][] {
  const options = { input, events, serializeState: kindOf, stopWhen, limit: 1_000_000 };
  const graph = getAdjacencyMap(machine, options as never) as unknown as Record<string, Visited>;
  const start = Object.keys(graph)[0]!;
  const arrivals = new Map<string, Edge | undefined>([[start, undefined]]);
  const steps = new Map<string, Edge>();
  for (const from of arrivals.keys()) {
    for (const { event, state } of Object.values(graph[from]?.transitions ?? {})) {
      const to = kindOf(state as never);
      const edge = { from, event, to };
      if (!arrivals.has(to)) arrivals.set(to, edge);
      const kind = JSON.stringify(everyEdge ? [from, event] : [stepOf(graph[from]!.state as never), event, stepOf(state as never)]);
      if (!steps.has(kind)) steps.set(kind, edge);
    }
  }
  return [...steps.values()].map((edge) => pathTo(arrivals, edge.from).concat(edge.event));
}

function pathTo(arrivals: ReadonlyMap<string, Edge | undefined>, kind: string): EventObject[] {
  const path: EventObject[] = [];
  for (let edge = arrivals.get(kind); edge; edge = arrivals.get(edge.from)) path.unshift(edge.event);
  return path;
}

/** Runs a path on an actor, whose timers never fire by themselves. */
export function replay(
  machine: AnyStateMachine,
  input: unknown,
  path: readonly EventObject[],
  inspect: (event: InspectionEvent) => void,
  onEmitted: (event: EventObject) => void = () => {},
) {
  const actor = createActor(machine, { input, clock: new SimulatedClock(), inspect } as never);
  actor.on('*', onEmitted as never);
  actor.subscribe({ error: () => {} });
  actor.start();
  for (const event of path) if (actor.getSnapshot().status === 'active') actor.send(event);
  return actor;
}
