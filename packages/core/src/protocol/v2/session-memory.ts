import type { AssistantMessage } from '../messages.ts';
import type { WireAssistant, WireModel, WireSession, WireToolState } from './wire.ts';

/** A call whose events come one after the other. */
export interface CallMemory {
  name: string;
  state: WireToolState;
  readonly time: { created?: number; ran?: number; completed?: number };
}

/** The assistant message that is being written. */
export interface AnswerMemory {
  readonly id: string;
  agent: string | undefined;
  model: WireModel | undefined;
  /** Milliseconds since the epoch. */
  createdAtMs: number;
  /** How often the model was asked within this message. */
  attempts: number;
  readonly calls: Map<string, CallMemory>;
  failed: boolean;
  /** The message that broke off, which it goes on with. */
  readonly continues: string | undefined;
}

/** What was sent to a session. */
export interface InboxPayload {
  readonly text?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** What is kept of a session to make sense of its next event. */
export interface SessionMemory {
  directory: string | undefined;
  /** As far as events have told it. */
  session: WireSession | undefined;
  /** Our name for what the next answer answers. */
  parentId: string | undefined;
  answer: AnswerMemory | undefined;
  /** Its end is held back: something that it set to work in the background has not told its end. */
  heldEnd: { readonly message: AssistantMessage; readonly raw: WireAssistant } | undefined;
  readonly openWork: Set<string>;
  /** What is on its way, by the ids of its messages. */
  readonly inbox: Map<string, InboxPayload & { readonly type: string | undefined }>;
  /** Messages of shell lines that run, by the ids of their shells. */
  readonly shellLines: Map<string, string>;
  /** The newest answer, when it broke off and the model is asked to go on. */
  brokenOff: string | undefined;
  /** An execution runs. */
  isBusy: boolean;
  /** It has begun, and nothing else was told of it. */
  isFresh: boolean;
}

/** One entry for each session that the stream has told of and not told the end of. */
export class SessionMemories {
  readonly #known = new Map<string, SessionMemory>();

  of(sessionId: string): SessionMemory {
    const known = this.#known.get(sessionId);
    if (known) return known;
    const fresh: SessionMemory = {
      directory: undefined,
      session: undefined,
      parentId: undefined,
      answer: undefined,
      heldEnd: undefined,
      openWork: new Set(),
      inbox: new Map(),
      shellLines: new Map(),
      brokenOff: undefined,
      isBusy: false,
      isFresh: false,
    };
    this.#known.set(sessionId, fresh);
    return fresh;
  }

  forget(sessionId: string): void {
    this.#known.delete(sessionId);
  }
}
