import type { Ids } from './ids.ts';
import type { Streams } from './streams.ts';
import { messagesOf, newTurn, turnEvents, type ScriptedTurn, type TurnSize, type WireEvent } from './turn-script.ts';

/** How long a burst of events may be in one write. */
const tickMs = 5;

/** What the turns of this server are like. */
export interface TurnSettings extends TurnSize {
  /** Events a second of all sessions together; 0 for a model that answers at once. */
  readonly eventsPerSecond: number;
  /** Sessions that share this rate: with fewer at work, each keeps its own share. All of it goes to whoever works when 0. */
  readonly sharers: number;
}

interface ActiveTurn {
  readonly turn: ScriptedTurn;
  readonly events: WireEvent[];
  next: number;
}

/** Plays a scripted turn for each prompt. */
export class Turns {
  readonly #ids: Ids;
  readonly #streams: Streams;
  readonly #settings: TurnSettings;
  readonly #active = new Map<string, ActiveTurn>();
  /** The newest turn of each session that a client may still ask for. */
  readonly #finished = new Map<string, ScriptedTurn>();
  #timer: NodeJS.Timeout | undefined;
  #lastTickMs = 0;
  #due = 0;

  constructor(ids: Ids, streams: Streams, settings: TurnSettings) {
    this.#ids = ids;
    this.#streams = streams;
    this.#settings = settings;
  }

  start(sessionId: string, directory: string, messageId: string): void {
    const turn = newTurn(this.#ids, { sessionId, directory, messageId }, this.#settings);
    const events = [...turnEvents(turn)];
    this.#active.set(sessionId, { turn, events, next: 0 });
    this.#timer ??= this.#startTimer();
  }

  /** Sessions that are not idle, as the server's status names them. */
  status(): Record<string, { readonly type: 'busy' }> {
    return Object.fromEntries([...this.#active.keys()].map((id) => [id, { type: 'busy' }]));
  }

  messages(sessionId: string): unknown[] {
    const active = this.#active.get(sessionId)?.turn;
    const turn = active ?? this.#finished.get(sessionId);
    return turn ? messagesOf(turn, !active) : [];
  }

  #startTimer(): NodeJS.Timeout {
    this.#lastTickMs = performance.now();
    return setInterval(() => this.#tick(), tickMs);
  }

  #tick(): void {
    const now = performance.now();
    this.#due += ((now - this.#lastTickMs) / 1000) * this.#rate();
    this.#lastTickMs = now;
    const events = this.#take();
    if (events.length > 0) this.#streams.publish(events);
    if (this.#active.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#due = 0;
  }

  #rate(): number {
    const { eventsPerSecond, sharers } = this.#settings;
    if (eventsPerSecond === 0) return Infinity;
    return sharers === 0 ? eventsPerSecond : eventsPerSecond * Math.min(1, this.#active.size / sharers);
  }

  /** The events that are due, one of each session in turn. */
  #take(): WireEvent[] {
    const taken: WireEvent[] = [];
    for (const active of this.#active.values()) {
      if (this.#due < 1) break;
      const count = this.#settings.eventsPerSecond > 0 ? 1 : active.events.length;
      this.#due -= count;
      for (let event = 0; event < count; event += 1) taken.push(active.events[active.next++]!);
      this.#active.delete(active.turn.sessionId);
      // Behind the others: the map keeps the order of insertion.
      if (active.next < active.events.length) this.#active.set(active.turn.sessionId, active);
      else this.#remember(active.turn);
    }
    return taken;
  }

  #remember(turn: ScriptedTurn): void {
    this.#finished.set(turn.sessionId, turn);
    // The server is not what is measured: it must not grow with the number of tasks either.
    if (this.#finished.size > 20_000) this.#finished.delete(this.#finished.keys().next().value!);
  }
}
