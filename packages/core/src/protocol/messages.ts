import type { AssistantMessageFacts, PartFacts, UserMessageFacts } from './facts.ts';

/** What stands behind an object of this project: the record of the server, in the shape of its protocol. It may change with each version of opencode. */
export interface Recorded {
  readonly raw: unknown;
}

/** A message of a session as it stands, without its parts. Times are milliseconds since the epoch. */
export type Message = UserMessage | AssistantMessage;

export interface UserMessage extends UserMessageFacts, Recorded {
  readonly createdAtMs: number;
  readonly agent?: string;
  /** `provider/model` */
  readonly model?: string;
}

export interface AssistantMessage extends AssistantMessageFacts, Recorded {
  readonly createdAtMs: number;
  /** Absent while it grows, and where the server ended before it was complete. */
  readonly completedAtMs?: number;
  readonly agent?: string;
  /** It stands for the history before it. */
  readonly summary?: true;
}

type FactsOf<Type extends PartFacts['type']> = Extract<PartFacts, { readonly type: Type }>;

/** What a message consists of. Only `text` that is not `synthetic` was said by the user or the model. */
export type Part =
  | TextPart
  | ReasoningPart
  | ToolPart
  | (PartBase & {
      readonly type: 'file';
      readonly mime: string;
      /** `file:` or `data:` */
      readonly url: string;
      readonly filename?: string;
    })
  /** The model is asked; `snapshot` names the files as they were then, where snapshots are kept. */
  | (PartBase & { readonly type: 'step'; readonly snapshot?: string })
  /** The model has answered, and its tools have ended; `snapshot` names the files as they are then. */
  | (PartBase & { readonly type: 'step_end'; readonly snapshot?: string })
  /** Absolute paths of the files that changed while a step ran, whoever changed them. */
  | (PartBase & { readonly type: 'patch'; readonly files: readonly string[] })
  /** The history is, or was, replaced by a summary. */
  | (PartBase & { readonly type: 'compaction' })
  | (PartBase & { readonly type: 'other' });

interface PartBase extends Recorded {
  readonly id: string;
  readonly messageId: string;
  readonly sessionId: string;
}

/** Text; `ended` is false while the deltas are ahead of it. */
export type TextPart = PartBase &
  FactsOf<'text'> & {
    /** Added by opencode, for example the content of a file that a prompt names; or shown to the user alone. */
    readonly synthetic?: true;
  };

export type ReasoningPart = PartBase & FactsOf<'reasoning'>;

/** A call of a tool. Times are milliseconds since the epoch. */
export type ToolPart = PartBase &
  FactsOf<'tool'> & {
    readonly callId: string;
    readonly title?: string;
    readonly startedAtMs?: number;
    readonly endedAtMs?: number;
  };

export interface MessageWithParts {
  readonly info: Message;
  readonly parts: readonly Part[];
}
