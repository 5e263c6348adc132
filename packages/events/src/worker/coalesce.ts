import type { ArrivedEvent, ServerEventOf } from '@opencode-manager/core/protocol';
import { ownText } from './own-text.ts';

type Delta = ServerEventOf<'part.delta'>;

/** A delta that stays here until its session says something else, or until it has waited long enough. */
interface Held {
  readonly delta: Delta;
  /** Milliseconds since the epoch. */
  readonly sinceMs: number;
}

/** A shorter piece of a text is a copy already; the engine keeps the whole text for a longer one. */
const shortestPiece = 13;

/** Where an arriving event went. */
export type Pushed = 'waiting' | 'held' | 'joined';

/**
 * The events that wait for the next batch. They are its own to change.
 *
 * - A delta is joined to the session's newest event here when that is a delta of the same part and field.
 * - A delta of a session that nobody follows live is held: it joins the batches with the session's next other event.
 * - So no event of a session overtakes another one of it, and a part's text is complete before what follows it.
 */
export class WaitingEvents {
  readonly #coalesce: boolean;
  readonly #isLive: (sessionId: string) => boolean;
  #events: ArrivedEvent[] = [];
  /** The newest waiting event of each session, when it is a delta. */
  readonly #lastDelta = new Map<string, Delta>();
  /** Oldest first. What is held is newer than all of its session that waits. */
  readonly #held = new Map<string, Held>();

  constructor(coalesce: boolean, isLive: (sessionId: string) => boolean = () => true) {
    this.#coalesce = coalesce;
    this.#isLive = isLive;
  }

  /** Held ones are not counted. */
  get length(): number {
    return this.#events.length;
  }

  /** When the oldest of what is held began to wait (milliseconds since the epoch); undefined without any. */
  get heldSinceMs(): number | undefined {
    for (const { sinceMs } of this.#held.values()) return sinceMs;
    return undefined;
  }

  push(event: ArrivedEvent): Pushed {
    if (event.type === 'part.delta') return this.#pushDelta(event);
    if (event.sessionId !== undefined) {
      this.release(event.sessionId);
      this.#lastDelta.delete(event.sessionId);
    }
    this.#events.push(event);
    return 'waiting';
  }

  /** Lets go what was held for this session. */
  release(sessionId: string): void {
    const held = this.#held.get(sessionId);
    if (!held) return;
    this.#held.delete(sessionId);
    this.#wait(sessionId, held.delta);
  }

  /** Lets go what has been held since then, or before. */
  releaseSince(sinceMs: number): void {
    for (const [sessionId, held] of this.#held) {
      if (held.sinceMs > sinceMs) return;
      this.release(sessionId);
    }
  }

  /** Gives what waits and begins anew. */
  take(): ArrivedEvent[] {
    const taken = this.#events;
    this.#events = [];
    this.#lastDelta.clear();
    return taken;
  }

  #pushDelta(event: Delta): Pushed {
    const sessionId = event.sessionId ?? '';
    if (this.#coalesce && this.#join(sessionId, event)) return 'joined';
    this.release(sessionId);
    if (!this.#coalesce || this.#isLive(sessionId)) {
      this.#wait(sessionId, event);
      return 'waiting';
    }
    this.#lastDelta.delete(sessionId);
    event.data.delta = copyOf(event.data.delta);
    this.#held.set(sessionId, { delta: event, sinceMs: Date.now() });
    return 'held';
  }

  #join(sessionId: string, event: Delta): boolean {
    const held = this.#held.get(sessionId)?.delta;
    const last = held ?? this.#lastDelta.get(sessionId);
    if (!last || last.data.partId !== event.data.partId || last.data.field !== event.data.field) return false;
    // The joined delta takes the newest id: it stands for everything up to there.
    (last as { id: string }).id = event.id;
    last.data.delta += held ? copyOf(event.data.delta) : event.data.delta;
    return true;
  }

  #wait(sessionId: string, delta: Delta): void {
    this.#events.push(delta);
    if (this.#coalesce) this.#lastDelta.set(sessionId, delta);
  }
}

/** What is held for seconds must not keep the reads of the socket that it came with. */
function copyOf(delta: string): string {
  return delta.length < shortestPiece ? delta : ownText(delta);
}
