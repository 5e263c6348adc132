import type { MessageFacts, PartFacts, SessionFact } from '@opencode-manager/core/protocol';

/**
 * What a process tells of a session. A stream makes facts for hosts of it, as the adapter of its protocol does: of 2.x what it has missed is missing
 * there too.
 */
export type ServerFact = { /** Of a shell line: it is no execution. */ readonly line?: true } & (
  | Exclude<SessionFact, { readonly type: 'part' | 'message' }>
  /** `begins`: a turn; else it joins one that runs. */
  | { readonly type: 'message'; readonly message: MessageFacts; readonly begins?: true }
  /** `work`: id of what a tool has set to work in the background. */
  | { readonly type: 'part'; readonly part: PartFacts; readonly work?: string }
  /** The session was told that work in the background has ended. */
  | { readonly type: 'work.told'; readonly work: string }
);
