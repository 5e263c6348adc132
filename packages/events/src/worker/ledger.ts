import type { ArrivedEvent, ServerEvent } from '@opencode-manager/core/protocol';
import { eventAge } from './event-age.ts';
import type { ResumePoint } from './messages.ts';
import { ownText } from './own-text.ts';
import { RecentIds } from './recent-ids.ts';
import { SessionPlaces, type SessionPlacesOptions } from './session-places.ts';

/** Ids that are remembered; a server repeats an event within one read, if at all. */
const rememberedIds = 1024;

export interface LedgerOptions extends Pick<SessionPlacesOptions, 'onForgotten' | 'limit' | 'generationMs'> {
  /** A session's directory is known from now on. */
  readonly onMet?: (sessionId: string, directory: string) => void;
}

/**
 * What has been passed on: the newest durable sequence of each session that was active lately, and the ids of the newest events. It decides
 * whether an event is new, so that whatever comes twice (live and replayed) is passed on once.
 */
export class Ledger {
  readonly sequences: SessionPlaces;
  /** Directory of each session; what is replayed gets it from here, because the history does not name it. */
  readonly directories: Map<string, string>;
  readonly #onMet: NonNullable<LedgerOptions['onMet']>;
  readonly #ids = new RecentIds(rememberedIds);
  /** Parts whose state was replayed, with the replayed event's id: older deltas are in that state already. */
  readonly #replayedParts = new Map<string, string>();
  /** How far forgotten sessions had been passed on when the replay began. */
  #forgottenId = '';
  /** Id of the first record of the first connection; empty until it is known. */
  baselineId: string;

  constructor(resume: ResumePoint | null, { onForgotten, onMet = () => undefined, ...bounds }: LedgerOptions = {}) {
    this.#onMet = onMet;
    this.sequences = new SessionPlaces({
      sequences: resume?.sequences,
      reach: resume?.reach && { ...resume.reach },
      onForgotten: (sessionId) => {
        this.directories.delete(sessionId);
        onForgotten?.(sessionId);
      },
      ...bounds,
    });
    this.directories = new Map(resume?.directories);
    this.baselineId = resume?.baselineId ?? '';
  }

  /** True, once, for an event that has not been passed on; it counts as passed on from then. */
  admit(event: ArrivedEvent): boolean {
    if (this.#isKnown(event) || this.#isSuperseded(event)) return false;
    // opencode gives some of its events no id; nothing can be said about them.
    if (event.id !== '') this.#ids.add(event.id);
    if (event.sessionId !== undefined) this.#note(event.sessionId, event);
    return true;
  }

  #note(sessionId: string, { id, directory, durableSequence }: ArrivedEvent): void {
    if (directory !== undefined && !this.directories.has(sessionId)) this.#meet(ownText(sessionId), ownText(directory));
    if (durableSequence !== undefined) this.sequences.note(sessionId, durableSequence, id);
  }

  #meet(sessionId: string, directory: string): void {
    this.directories.set(sessionId, directory);
    this.#onMet(sessionId, directory);
  }

  /** The event with its session's directory, when it does not name one itself. */
  withDirectory(event: ServerEvent): ServerEvent {
    const directory = event.directory ?? this.directories.get(event.sessionId ?? '');
    return directory === undefined || event.directory !== undefined ? event : { ...event, directory };
  }

  /** {@link admit} for an event from the history: it must also be younger than the monitor. */
  admitReplayed(event: ServerEvent): boolean {
    if (this.#isBeforeOurTime(event)) {
      // Noted, so that the next replay does not send the session's past again.
      if (!this.#isKnown(event)) this.sequences.noteWhileRoom(event.sessionId!, event.durableSequence!);
      if (event.directory !== undefined && this.sequences.has(event.sessionId!)) this.#meet(event.sessionId!, event.directory);
      return false;
    }
    if (!this.admit(event)) return false;
    if (event.type === 'part.updated') this.#replayedParts.set(event.data.part.id, event.id);
    return true;
  }

  /** A replay begins: what the last one remembered about parts is over. */
  beginReplay(): void {
    this.#replayedParts.clear();
    this.#forgottenId = this.sequences.reach.forgottenId;
  }

  #isKnown(event: ArrivedEvent): boolean {
    if (event.id !== '' && this.#ids.has(event.id)) return true;
    if (event.durableSequence === undefined || event.sessionId === undefined) return false;
    const newest = this.sequences.get(event.sessionId);
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
    const isNamed = this.sequences.has(event.sessionId!);
    const age = eventAge(event.id, isNamed ? this.baselineId : this.#forgottenId || this.baselineId);
    return age !== undefined && age <= 0;
  }
}
