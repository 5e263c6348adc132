import { poolMachine, serverMachine, sessionMachine } from '@opencode-manager/actors/machines';
import { getNextTransitions, type AnyMachineSnapshot, type AnyStateMachine } from 'xstate';
import { selfAndAncestors, type ChartModel, type ChartTransition } from '../chart/model.ts';
import type { Charts } from '../chart/shipped.ts';
import { kindOf, type ActorKind } from '../run/meaning.ts';
import type { ActorView } from '../run/view.ts';

/** An event, or a timer, that a state reacts to. */
export interface EnabledEvent {
  readonly type: string;
  readonly label: string;
  readonly isDelay: boolean;
  readonly transitions: readonly ChartTransition[];
}

const machinesByKind: Readonly<Record<ActorKind, AnyStateMachine>> = {
  session: sessionMachine,
  pool: poolMachine,
  server: serverMachine,
};

type StateValue = string | { readonly [key: string]: StateValue };

/** `active.running` as XState writes it. */
function valueOf(path: string): StateValue {
  const [first = '', ...rest] = path.split('.');
  return rest.length === 0 ? first : { [first]: valueOf(rest.join('.')) };
}

/**
 * What may happen next to an actor, told by XState from its state: events first, then timers. Guards are not judged:
 * whether one holds depends on the event to come.
 */
export function enabledEvents(charts: Charts, actor: ActorView): EnabledEvent[] {
  if (actor.ended) return [];
  const { model } = charts[kindOf(actor.id)];
  const groups = charts.foreign ? drawnTransitions(model, actor) : nextTransitions(model, actor);
  const events = [...groups].map(([type, transitions]) => {
    return { type, label: transitions[0]?.label ?? type, isDelay: transitions[0]?.kind === 'delay', transitions };
  });
  return [...events.filter(({ isDelay }) => !isDelay), ...events.filter(({ isDelay }) => isDelay)];
}

type Groups = ReadonlyMap<string, readonly ChartTransition[]>;

/** A machine that this page does not run cannot be asked: its chart tells. */
function drawnTransitions(model: ChartModel, actor: ActorView): Groups {
  const sources = new Set(selfAndAncestors(model, `${model.id}.${actor.path}`));
  return Map.groupBy(
    model.transitions.filter(({ source, kind }) => sources.has(source) && kind !== 'always'),
    ({ eventType }) => eventType,
  );
}

function nextTransitions(model: ChartModel, actor: ActorView): Groups {
  const machine = machinesByKind[kindOf(actor.id)];
  const known = model.nodes.some(({ path }) => path === actor.path);
  if (!known) return new Map();
  const snapshot = machine.resolveState({ value: valueOf(actor.path), context: actor.context }) as AnyMachineSnapshot;
  if (snapshot.status !== 'active') return new Map();
  const pairs = getNextTransitions(snapshot).filter(({ eventType }) => eventType !== '');
  const groups = Map.groupBy(pairs, ({ eventType }) => eventType);
  return new Map(
    [...groups].map(([type, list]) => {
      const sources = new Set(list.map(({ source }) => source.id));
      return [type, model.transitions.filter((one) => one.eventType === type && sources.has(one.source))];
    }),
  );
}
