import { createContext, useCallback, useContext, useSyncExternalStore } from 'react';
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

/** How often panels of text follow a run: nobody reads faster, and their layout costs more than all else. */
const calmMs = 150;

/** The same, at a pace that can be read: at once after a rest, then every {@link calmMs}. */
export function useCalmMoment(): Moment {
  const { store } = useController();
  const subscribe = useCallback((listener: () => void) => store.subscribe(calmed(listener)), [store]);
  return useSyncExternalStore(subscribe, () => store.moment());
}

function calmed(listener: () => void): () => void {
  let nextMs = 0;
  let timer: number | undefined;
  return () => {
    if (timer !== undefined) return;
    const waitMs = Math.max(0, nextMs - performance.now());
    const tell = () => {
      timer = undefined;
      nextMs = performance.now() + calmMs;
      listener();
    };
    if (waitMs === 0) tell();
    else timer = window.setTimeout(tell, waitMs);
  };
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
