import type { ServerEvent, ServerEventOf } from '@opencode-manager/core/protocol';

/** An event of a batch. The main thread numbers it in place: the key is there already, so the object keeps its shape. */
export type BatchedEvent = ServerEvent & { sequence: number };
type Delta = ServerEventOf<'part.delta'>;

/**
 * The events that wait for the next batch.
 *
 * - A delta is joined to the session's newest waiting event when that is a delta of the same part and field.
 * - So no event of a session overtakes another one of it, and a part's text is complete before what follows it.
 */
export class WaitingEvents {
  readonly #coalesce: boolean;
  #events: BatchedEvent[] = [];
  /** The newest waiting event of each session, when it is a delta. */
  readonly #lastDelta = new Map<string, Delta>();

  constructor(coalesce: boolean) {
    this.#coalesce = coalesce;
  }

  get length(): number {
    return this.#events.length;
  }

  /** True when the event was joined to one that waits. */
  push(event: ServerEvent): boolean {
    if (event.type === 'part.delta') return this.#pushDelta(event);
    if (event.sessionId !== undefined) this.#lastDelta.delete(event.sessionId);
    this.#events.push({ sequence: 0, ...event });
    return false;
  }

  /** Gives what waits and begins anew. */
  take(): BatchedEvent[] {
    const taken = this.#events;
    this.#events = [];
    this.#lastDelta.clear();
    return taken;
  }

  #pushDelta(event: Delta): boolean {
    const session = event.sessionId ?? '';
    const last = this.#coalesce ? this.#lastDelta.get(session) : undefined;
    if (last && last.data.partId === event.data.partId && last.data.field === event.data.field) {
      // The joined delta takes the newest id: it stands for everything up to there.
      (last as { id: string }).id = event.id;
      last.data.delta += event.data.delta;
      return true;
    }
    const waiting = { sequence: 0, ...event };
    this.#events.push(waiting);
    this.#lastDelta.set(session, waiting);
    return false;
  }
}
