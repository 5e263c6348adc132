import { isSealed, type ProtocolStream, type SealedEvent, type ServerEvent } from '@opencode-manager/core/protocol';
import type { MonitorEvent } from '../monitor/types.ts';
import type { BatchedEvent } from '../worker/batch-text.ts';
import { wants } from './filter.ts';
import type { Subscription } from './subscriptions.ts';

/** An event that can be delivered. */
type OpenEvent = ServerEvent & { sequence: number };

const none: readonly Subscription[] = [];

/**
 * Hands each event to the subscriptions that want it.
 *
 * - A subscription with session ids is found by the event's session: what other sessions do costs it nothing.
 * - Lists are replaced, never changed, and looked up for each event: a subscription added while a batch is routed receives the
 *   events after the current one, a removed one receives nothing more.
 * - For an event without a subscriber, one look-up in a map is the whole cost: nobody reads what it says.
 */
export class Router {
  readonly #openData: ProtocolStream['open'];
  readonly #onMalformed: () => void;
  readonly #bySession = new Map<string, readonly Subscription[]>();
  #general: readonly Subscription[] = none;
  #sequence = 0;

  /** `onMalformed` is told of each event that somebody wanted and that cannot be read. */
  constructor(protocol: Pick<ProtocolStream, 'open'>, onMalformed: () => void = () => undefined) {
    this.#openData = protocol.open;
    this.#onMalformed = onMalformed;
  }

  add(subscription: Subscription): void {
    const { sessions } = subscription.filter;
    if (sessions === null) this.#general = [...this.#general, subscription];
    else for (const id of sessions) this.#bySession.set(id, [...(this.#bySession.get(id) ?? none), subscription]);
  }

  remove(subscription: Subscription): void {
    if (!subscription.active) return;
    subscription.active = false;
    const { sessions } = subscription.filter;
    if (sessions === null) this.#general = this.#general.filter((other) => other !== subscription);
    else for (const id of sessions) this.#removeFromSession(id, subscription);
  }

  /** Numbers and delivers a batch. The events are the router's to change: they were made for it. */
  dispatch(events: readonly BatchedEvent[]): void {
    for (let index = 0; index < events.length; index++) {
      const event = events[index]!;
      event.sequence = ++this.#sequence;
      // Both are read before the first delivery: a subscription that a listener adds begins with the next event.
      const general = this.#general;
      const own = event.sessionId === undefined ? none : (this.#bySession.get(event.sessionId) ?? none);
      const opened = this.#deliver(own, event);
      if (opened) this.#deliver(general, opened);
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
      return openSealed(event, this.#openData(event));
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
function openSealed(event: SealedEvent & { readonly sequence: number }, data: ServerEvent['data']): OpenEvent {
  const { sequence, type, plane, id, directory, sessionId, durableSequence } = event;
  if (durableSequence === undefined) return { sequence, type, plane, id, directory, sessionId, data } as OpenEvent;
  return { sequence, type, plane, id, directory, sessionId, durableSequence, data } as OpenEvent;
}
