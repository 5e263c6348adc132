import type { ArrivedEvent, ServerEvent } from '@opencode-manager/core/protocol';
import { mostSessions, SessionCursors, type SessionCursor } from './cursors.ts';
import { eventAge } from './event-age.ts';
import type { ResumePoint } from './messages.ts';
import { RecentIds } from './recent-ids.ts';
import { missedEvents } from './replay.ts';
import type { EventReceiver } from './sync-pairs.ts';

/** Ids that are remembered; a server repeats an event within one read, if at all. */
const rememberedIds = 1024;

/**
 * Passes each event on once, whether it comes live, by a replay, or both. It remembers the newest sequence of each session and
 * the newest ids.
 *
 * While a connection catches up, its events are held; {@link release} merges them with the history.
 */
export class Ledger implements EventReceiver {
  readonly cursors: SessionCursors;
  readonly #receiver: EventReceiver;
  readonly #seal: (event: ServerEvent) => ArrivedEvent;
  readonly #ids = new RecentIds(rememberedIds);
  /** Sessions whose stored events are all older than the monitor: named in a request, so that the answer leaves them out. */
  readonly #past = new Map<string, SessionCursor>();
  /** Parts whose state was replayed, with the replayed event's id: older deltas are in that state already. */
  readonly #replayedParts = new Map<string, string>();
  /** Events of a connection that catches up. */
  #held: ArrivedEvent[] | undefined;
  #baselineId: string;

  /** @param seal what a replayed event is passed on as */
  constructor(resume: ResumePoint | null, receiver: EventReceiver, seal: (event: ServerEvent) => ArrivedEvent = (event) => event) {
    this.cursors = new SessionCursors(resume?.cursors);
    this.#receiver = receiver;
    this.#seal = seal;
    this.#baselineId = resume?.baselineId ?? '';
  }

  /** Id of the first event of the first connection: what is older was before our time. Empty until it is known. */
  get baselineId(): string {
    return this.#baselineId;
  }

  /** Last sequence of each session that a request for the history names. */
  named(): Record<string, number> {
    const all = [...this.#past, ...(this.cursors.entries ?? [])].slice(-mostSessions);
    return Object.fromEntries(all.map(([sessionId, { sequence }]) => [sessionId, sequence]));
  }

  /** A connection begins: its events are held until {@link release}. */
  hold(): void {
    this.#held = [];
  }

  event(event: ArrivedEvent): void {
    if (this.#baselineId === '') this.#baselineId = event.id;
    if (this.#held) this.#held.push(event);
    else if (this.#admit(event)) this.#receiver.event(event);
  }

  lateSequence(sessionId: string, durableSequence: number): void {
    if (this.#held || !this.cursors.complete || (this.cursors.get(sessionId)?.sequence ?? -1) >= durableSequence) return;
    this.cursors.note({ sessionId, durableSequence });
    this.#receiver.lateSequence(sessionId, durableSequence);
  }

  /** Passes on what the history has and was missed, then what was held. Returns the number of events from the history. */
  release(history: readonly ServerEvent[]): number {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#replayedParts.clear();
    let replayed = 0;
    for (const event of missedEvents(history, held, this.#baselineId)) {
      if (!this.#admitReplayed(event)) continue;
      replayed++;
      this.#receiver.event(this.#seal(this.#withDirectory(event)));
    }
    for (const event of held) this.event(event);
    return replayed;
  }

  /** True, once, for an event that has not been passed on; it counts as passed on from then. */
  #admit(event: ArrivedEvent): boolean {
    if (this.#isKnown(event) || this.#isSuperseded(event)) return false;
    // opencode gives some of its events no id; nothing can be said about them.
    if (event.id !== '') this.#ids.add(event.id);
    this.cursors.note(event);
    return true;
  }

  #admitReplayed(event: ServerEvent): boolean {
    if (this.#isBeforeOurTime(event)) {
      this.#notePast(event.sessionId!, { sequence: event.durableSequence!, directory: event.directory });
      return false;
    }
    if (!this.#admit(event)) return false;
    if (event.type === 'part.updated') this.#replayedParts.set(event.data.part.id, event.id);
    return true;
  }

  #notePast(sessionId: string, { sequence, directory }: SessionCursor): void {
    const known = this.#past.get(sessionId);
    if (known || this.#past.size < mostSessions) this.#past.set(sessionId, { sequence, directory: directory ?? known?.directory });
  }

  #withDirectory(event: ServerEvent): ServerEvent {
    if (event.directory !== undefined) return event;
    const directory = this.cursors.get(event.sessionId!)?.directory ?? this.#past.get(event.sessionId!)?.directory;
    return directory === undefined ? event : { ...event, directory };
  }

  #isKnown(event: ArrivedEvent): boolean {
    if (event.id !== '' && this.#ids.has(event.id)) return true;
    if (event.durableSequence === undefined || event.sessionId === undefined) return false;
    const newest = this.cursors.get(event.sessionId)?.sequence;
    return newest !== undefined && event.durableSequence <= newest;
  }

  #isSuperseded(event: ArrivedEvent): boolean {
    if (event.type !== 'part.delta' || this.#replayedParts.size === 0) return false;
    const replayed = this.#replayedParts.get(event.data.partId);
    if (replayed === undefined) return false;
    const age = eventAge(event.id, replayed);
    if (age !== undefined && age <= 0) return true;
    this.#replayedParts.delete(event.data.partId);
    return false;
  }

  #isBeforeOurTime(event: ServerEvent): boolean {
    const age = eventAge(event.id, this.#baselineId);
    return age !== undefined && age <= 0;
  }
}
