import { isSealed, openData, type SealedEvent, type ServerEvent } from '@opencode-manager/core/protocol';
import type { MonitorEvent } from '../monitor/types.ts';
import type { BatchedEvent } from '../worker/batch-text.ts';
import type { Following, ToStreamTask } from '../worker/messages.ts';
import { wants } from './filter.ts';
import { LiveFollowers } from './live-followers.ts';
import type { Subscription } from './subscriptions.ts';

/** An event that can be delivered. */
type OpenEvent = ServerEvent & { sequence: number };

const none: readonly Subscription[] = [];

/**
 * Hands each event to the subscriptions that want it.
 *
 * - A subscription with session ids is found by the event's session: what other sessions do costs it nothing.
 * - Lists are replaced, never changed: whoever subscribes or leaves while a batch is routed disturbs nobody.
 * - For an event without a subscriber, one look-up in a map is the whole cost: nobody reads what it says.
 */
export class Router {
  readonly #onMalformed: () => void;
  readonly #followers: LiveFollowers;
  readonly #bySession = new Map<string, readonly Subscription[]>();
  #general: readonly Subscription[] = none;
  #sequence = 0;

  /** `onMalformed` is told of each event that somebody wanted and that cannot be read, `tell` of whose deltas are wanted live. */
  constructor(onMalformed: () => void = () => undefined, tell: (message: ToStreamTask) => void = () => undefined) {
    this.#onMalformed = onMalformed;
    this.#followers = new LiveFollowers(tell);
  }

  /** Whose deltas are wanted live, for a thread that begins. */
  get following(): Following {
    return this.#followers.following;
  }

  add(subscription: Subscription): void {
    const { sessions } = subscription.filter;
    if (sessions === null) this.#general = [...this.#general, subscription];
    else for (const id of sessions) this.#bySession.set(id, [...(this.#bySession.get(id) ?? none), subscription]);
    this.#followers.add(subscription);
  }

  remove(subscription: Subscription): void {
    if (!subscription.active) return;
    subscription.active = false;
    const { sessions } = subscription.filter;
    if (sessions === null) this.#general = this.#general.filter((other) => other !== subscription);
    else for (const id of sessions) this.#removeFromSession(id, subscription);
    this.#followers.remove(subscription);
  }

  /** Numbers and delivers a batch. The events are the router's to change: they were made for it. */
  dispatch(events: readonly BatchedEvent[]): void {
    for (let index = 0; index < events.length; index++) {
      const event = events[index]!;
      event.sequence = ++this.#sequence;
      const { sessionId } = event;
      const list = sessionId === undefined ? undefined : this.#bySession.get(sessionId);
      const opened = list === undefined ? event : this.#deliver(list, event);
      if (opened && this.#general !== none) this.#deliver(this.#general, opened);
    }
  }

  /** Opens the event for the first who wants it. The result is the event as it is then; undefined when it cannot be read. */
  #deliver(list: readonly Subscription[], event: BatchedEvent): BatchedEvent | undefined {
    let current = event;
    for (let index = 0; index < list.length; index++) {
      const subscription = list[index]!;
      if (!subscription.active || !wants(subscription.filter, current)) continue;
      const opened = this.#open(current);
      if (!opened) return undefined;
      current = opened;
      subscription.deliver(opened);
    }
    return current;
  }

  #open(event: BatchedEvent): OpenEvent | undefined {
    if (!isSealed(event)) return event;
    try {
      return openSealed(event);
    } catch {
      this.#onMalformed();
      return undefined;
    }
  }

  /** Delivers what concerns the stream itself, to everyone whose filter admits its type, whatever their session. */
  announce(notice: Omit<MonitorEvent, 'sequence'>): void {
    const event = { ...notice, sequence: ++this.#sequence } as MonitorEvent;
    for (const subscription of this.#all()) if (subscription.active && wants(subscription.filter, event)) subscription.deliver(event);
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

/** An event of one shape, whether it is stored or not: readers stay fast. */
function openSealed(event: SealedEvent & { readonly sequence: number }): OpenEvent {
  const { sequence, type, plane, id, directory, sessionId, durableSequence } = event;
  const data = openData(event);
  if (durableSequence === undefined) return { sequence, type, plane, id, directory, sessionId, data } as OpenEvent;
  return { sequence, type, plane, id, directory, sessionId, durableSequence, data } as OpenEvent;
}
