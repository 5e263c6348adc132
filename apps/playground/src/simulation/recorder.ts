import type { AnyMachineSnapshot, AnyStateMachine, AnyStateNode, AnyTransitionDefinition, InspectionEvent } from 'xstate';
import { transitionId } from '../chart/model.ts';
import { diff } from '../trace/changes.ts';
import type { ActorFacts, Json, Lane, RecordTag, RunRecord } from '../trace/format.ts';

type Unnumbered = Omit<RunRecord, 'seq' | 'atMs'>;

/** Where an event comes from, told by who is about to send it. */
export interface Route {
  readonly from: Lane;
  readonly to: Lane;
}

export interface RecorderOptions {
  readonly now: () => number;
  readonly onRecord: (record: RunRecord) => void;
}

interface ActorShape {
  readonly actor: string;
  readonly lane: Lane;
  readonly machine: AnyStateMachine;
  /** Contexts as the page shows them. */
  readonly project: (context: unknown) => unknown;
  readonly facts: (context: unknown) => ActorFacts | undefined;
}

/** Turns what XState's inspection reports into records: one for each event, with the transitions it took. */
export class Recorder {
  readonly #options: RecorderOptions;
  readonly #ids = new Map<AnyTransitionDefinition, string>();
  #seq = 0;
  /** Actors that are taking an event just now, one within the other. */
  #taking = 0;
  /** What they caused meanwhile: told after the event itself. */
  #caused: Unnumbered[] = [];
  /** Set around a send, so that the record says between whom the event passed. */
  route: Route | undefined;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  record(record: Unnumbered): void {
    if (this.#taking > 0) {
      this.#caused.push(record);
      return;
    }
    this.#seq += 1;
    this.#options.onRecord({ seq: this.#seq, atMs: this.#options.now(), ...record });
  }

  /** Runs a send with its route known. */
  along(route: Route, send: () => void): void {
    const before = this.route;
    this.route = route;
    try {
      send();
    } finally {
      this.route = before;
    }
  }

  /** An inspector for one root actor. */
  inspector(shape: ActorShape): (event: InspectionEvent) => void {
    this.#learn(shape.machine.root);
    let context: unknown;
    let path: string | undefined;
    let edges: string[] = [];
    let route: Route | undefined;
    let taking = false;
    return (event) => {
      if (event.type === '@xstate.event') {
        edges = [];
        route = this.route;
        if (!taking) this.#taking += 1;
        taking = true;
        return;
      }
      if (event.type === '@xstate.microstep') {
        edges.push(...event._transitions.map((one) => this.#ids.get(one)).filter((id) => id !== undefined));
        return;
      }
      if (event.type !== '@xstate.snapshot') return;
      const snapshot = event.snapshot as AnyMachineSnapshot;
      const next = shape.project(snapshot.context);
      const nextPath = pathOf(snapshot.value as StateValue);
      const facts = shape.facts(snapshot.context);
      const changes = diff(context, next);
      if (taking) this.#taking -= 1;
      taking = false;
      this.#tellInOrder({
        actor: shape.actor,
        ...routeOf(event.event.type, route, shape.lane),
        type: event.event.type,
        payload: payloadOf(event.event),
        ...(nextPath !== path && { path: nextPath }),
        ...(edges.length > 0 && { edges }),
        ...(changes.length > 0 && { changes }),
        ...(facts && { facts }),
        ...tagged(event.event.type, nextPath === path ? undefined : nextPath),
      });
      context = next;
      path = nextPath;
      edges = [];
    };
  }

  /** The event first, then what came of it. */
  #tellInOrder(record: Unnumbered): void {
    if (this.#taking > 0) {
      this.#caused.unshift(record);
      return;
    }
    const caused = this.#caused;
    this.#caused = [];
    this.record(record);
    for (const one of caused) this.record(one);
  }

  #learn(node: AnyStateNode): void {
    for (const [eventType, list] of [...node.transitions, ['', node.always ?? []] as const]) {
      for (const [index, transition] of list.entries()) this.#ids.set(transition, transitionId(node.id, eventType, index));
    }
    for (const child of Object.values(node.states)) this.#learn(child);
  }
}

type StateValue = string | { readonly [key: string]: StateValue | undefined };

/** `active.running` */
export function pathOf(value: StateValue): string {
  if (typeof value === 'string') return value;
  const [[key, child] = ['', undefined]] = Object.entries(value);
  return child === undefined ? key : `${key}.${pathOf(child)}`;
}

function payloadOf({ type: _type, ...payload }: { readonly type: string }): Json {
  return JSON.parse(JSON.stringify(payload)) as Json;
}

/** A timer is the actor's own doing. */
function routeOf(type: string, route: Route | undefined, lane: Lane): Route {
  if (type.startsWith('xstate.')) return { from: lane, to: lane };
  return route ?? { from: lane, to: lane };
}

const askTypes: ReadonlySet<string> = new Set(['ask.opened', 'ask.closed']);
const errorTypes: ReadonlySet<string> = new Set([
  'session.errored',
  'turn.refused',
  'turn.unknown',
  'server.exited',
  'session.failed',
  'task.crashed',
]);
const badPaths: ReadonlySet<string> = new Set(['error', 'dead', 'failed']);

/** What an event is besides, by its type and by where it led. */
export function tagged(type: string, path?: string): { readonly tags?: readonly RecordTag[] } {
  const tags: RecordTag[] = [];
  if (errorTypes.has(type) || (path !== undefined && badPaths.has(path))) tags.push('error');
  if (askTypes.has(type)) tags.push('ask');
  if (type === 'stream.gap') tags.push('gap');
  return tags.length > 0 ? { tags } : {};
}
