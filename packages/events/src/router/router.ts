import type { MonitorEvent } from '../monitor/types.ts';
import { wants } from './filter.ts';
import type { Subscription } from './subscriptions.ts';

type Numbered<Event> = Event extends unknown ? { -readonly [Key in keyof Event]: Event[Key] } : never;
const none: readonly Subscription[] = [];

/**
 * Hands each event to the subscriptions that want it.
 *
 * - A subscription with session ids is found by the event's session: what other sessions do costs it nothing.
 * - Lists are replaced, never changed: whoever subscribes or leaves while a batch is routed disturbs nobody.
 * - For an event without a subscriber, one look-up in a map is the whole cost.
 */
export class Router {
  readonly #bySession = new Map<string, readonly Subscription[]>();
  #general: readonly Subscription[] = none;
  #sequence = 0;

  add(subscription: Subscription): void {
    const { sessions } = subscription.filter;
    if (sessions === null) this.#general = [...this.#general, subscription];
    else for (const id of sessions) this.#bySession.set(id, [...(this.#bySession.get(id) ?? none), subscription]);
  }

  remove(subscription: Subscription): void {
    subscription.active = false;
    const { sessions } = subscription.filter;
    if (sessions === null) this.#general = this.#general.filter((other) => other !== subscription);
    else for (const id of sessions) this.#removeFromSession(id, subscription);
  }

  /** Numbers and delivers a batch. The events are the router's to change: they were parsed for it. */
  dispatch(events: readonly MonitorEvent[]): void {
    for (let index = 0; index < events.length; index++) {
      const event = events[index] as Numbered<MonitorEvent>;
      event.sequence = ++this.#sequence;
      const { sessionId } = event;
      const list = sessionId === undefined ? undefined : this.#bySession.get(sessionId);
      if (list !== undefined) deliver(list, event);
      if (this.#general !== none) deliver(this.#general, event);
    }
  }

  /** Delivers what concerns the stream itself, to everyone whose filter admits its type, whatever their session. */
  announce(notice: Omit<MonitorEvent, 'sequence'>): void {
    const event = { ...notice, sequence: ++this.#sequence } as MonitorEvent;
    deliver(this.#all(), event);
  }

  /** Ends every subscription. */
  end(error: Error | undefined): void {
    const all = this.#all();
    this.#general = none;
    this.#bySession.clear();
    for (const subscription of all) {
      subscription.end(error);
      subscription.active = false;
    }
  }

  #all(): Subscription[] {
    return [...new Set([...this.#general, ...[...this.#bySession.values()].flat()])];
  }

  #removeFromSession(id: string, subscription: Subscription): void {
    const rest = this.#bySession.get(id)?.filter((other) => other !== subscription) ?? none;
    if (rest.length > 0) this.#bySession.set(id, rest);
    else this.#bySession.delete(id);
  }
}

function deliver(list: readonly Subscription[], event: MonitorEvent): void {
  for (let index = 0; index < list.length; index++) {
    const subscription = list[index]!;
    if (subscription.active && wants(subscription.filter, event)) subscription.deliver(event);
  }
}
