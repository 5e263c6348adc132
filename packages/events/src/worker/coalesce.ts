import type { ArrivedEvent, ServerEventOf } from '@opencode-manager/core/protocol';

type Delta = ServerEventOf<'part.delta'>;

/**
 * The events that wait for the next batch. They are its own to change.
 *
 * - A delta is joined to the session's newest waiting event when that is a delta of the same part and field.
 * - So no event of a session overtakes another one of it, and a part's text is complete before what follows it.
 */
export class WaitingEvents {
  readonly #coalesce: boolean;
  #events: ArrivedEvent[] = [];
  /** The newest waiting event of each session, when it is a delta. */
  readonly #lastDelta = new Map<string, Delta>();

  constructor(coalesce: boolean) {
    this.#coalesce = coalesce;
  }

  get length(): number {
    return this.#events.length;
  }

  /** True when the event was joined to one that waits. */
  push(event: ArrivedEvent): boolean {
    if (event.type === 'part.delta') return this.#pushDelta(event);
    if (event.sessionId !== undefined) this.#lastDelta.delete(event.sessionId);
    this.#events.push(event);
    return false;
  }

  /** Gives what waits and begins anew. */
  take(): ArrivedEvent[] {
    const taken = this.#events;
    this.#events = [];
    this.#lastDelta.clear();
    return taken;
  }

  #pushDelta(event: Delta): boolean {
    const last = this.#coalesce ? this.#lastDelta.get(event.sessionId ?? '') : undefined;
    if (last && last.data.partId === event.data.partId && last.data.field === event.data.field) {
      // The joined delta takes the newest id: it stands for everything up to there.
      (last as { id: string }).id = event.id;
      last.data.delta += event.data.delta;
      return true;
    }
    this.#events.push(event);
    if (this.#coalesce) this.#lastDelta.set(event.sessionId ?? '', event);
    return false;
  }
}
