import { poolMachine, sessionMachine } from '@opencode-manager/actors/machines';
import { getNextTransitions, type AnyMachineSnapshot, type AnyStateMachine } from 'xstate';
import type { ChartModel, ChartTransition } from '../chart/model.ts';
import type { ActorView } from '../run/view.ts';

/** An event, or a timer, that a state reacts to. */
export interface EnabledEvent {
  readonly type: string;
  readonly label: string;
  readonly isDelay: boolean;
  readonly transitions: readonly ChartTransition[];
}

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
export function enabledEvents(model: ChartModel, actor: ActorView): EnabledEvent[] {
  const machine: AnyStateMachine = actor.id === 'pool' ? poolMachine : sessionMachine;
  const known = model.nodes.some(({ path }) => path === actor.path);
  if (!known) return [];
  const snapshot = machine.resolveState({ value: valueOf(actor.path), context: actor.context } as never) as AnyMachineSnapshot;
  if (snapshot.status !== 'active') return [];
  const pairs = getNextTransitions(snapshot).filter(({ eventType }) => eventType !== '');
  const groups = Map.groupBy(pairs, ({ eventType }) => eventType);
  const events = [...groups].map(([type, list]) => {
    const sources = new Set(list.map(({ source }) => source.id));
    const transitions = model.transitions.filter((one) => one.eventType === type && sources.has(one.source));
    return { type, label: transitions[0]?.label ?? type, isDelay: transitions[0]?.kind === 'delay', transitions };
  });
  return [...events.filter(({ isDelay }) => !isDelay), ...events.filter(({ isDelay }) => isDelay)];
}
