import type { ArrivedEvent, DecodedFrame, ServerEventType } from '@opencode-manager/core/protocol';

/** The next station of an event in the stream's thread. */
export interface EventReceiver {
  /** With its durable sequence, when it has one. */
  event(event: ArrivedEvent): void;
  /** The sequence of an event that left before its number was known. */
  lateSequence(sessionId: string, durableSequence: number): void;
}

/**
 * Puts a stored event and its number together. opencode sends the number in a record of its own directly after the
 * event, so a stored event waits for exactly one more record; nothing overtakes it.
 */
export class SyncPairs {
  readonly #receiver: EventReceiver;
  readonly #stored: Set<ServerEventType>;
  #held: ArrivedEvent | undefined;
  #newest: ArrivedEvent | undefined;

  /** @param storedTypes others that turn out to be stored are learnt */
  constructor(receiver: EventReceiver, storedTypes: readonly ServerEventType[]) {
    this.#receiver = receiver;
    this.#stored = new Set(storedTypes);
  }

  /** True while an event waits for its number. */
  get holding(): boolean {
    return this.#held !== undefined;
  }

  accept(frame: Extract<DecodedFrame, { kind: 'event' | 'sync' }>): void {
    if (frame.kind === 'sync') return this.#pair(frame.id, frame.sessionId, frame.durableSequence);
    this.release();
    this.#newest = frame.event;
    if (this.#stored.has(frame.event.type)) this.#held = frame.event;
    else this.#receiver.event(frame.event);
  }

  /** Passes on what waits, without its number. */
  release(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held) this.#receiver.event(held);
  }

  /** Forgets what waits: the connection is lost, and the replay brings the event with its number. */
  discard(): void {
    this.#held = undefined;
    this.#newest = undefined;
  }

  #pair(id: string, sessionId: string, durableSequence: number): void {
    const held = this.#held;
    if (held && held.id === id) {
      this.#held = undefined;
      this.#receiver.event(Object.assign(held, { sessionId, durableSequence }));
      return;
    }
    this.release();
    if (this.#newest?.id === id) this.#stored.add(this.#newest.type);
    this.#receiver.lateSequence(sessionId, durableSequence);
  }
}
