import { createContext, useContext, useSyncExternalStore } from 'react';
import type { Controller, PageState } from '../app/controller.ts';
import type { ActorView } from '../run/view.ts';
import type { Moment } from '../run/store.ts';

export const ControllerContext = createContext<Controller | null>(null);

export function useController(): Controller {
  const controller = useContext(ControllerContext);
  if (!controller) throw new Error('There is no controller around this component.');
  return controller;
}

/** The moment of the run that is looked at; changes once a frame at most. */
export function useMoment(): Moment {
  const { store } = useController();
  return useSyncExternalStore(store.subscribe, () => store.moment());
}

export function usePage(): PageState {
  const controller = useController();
  return useSyncExternalStore(controller.subscribe, () => controller.state);
}

/** The actor that was chosen; the first session while none was. */
export function useChosen(): ActorView | undefined {
  const { view } = useMoment();
  const { choice } = usePage();
  if (choice.actor === 'pool' || choice.actor === 'server') return view[choice.actor];
  return view.sessions.get(choice.actor) ?? view.sessions.values().next().value;
}
