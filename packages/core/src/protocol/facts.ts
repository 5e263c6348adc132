import type { Ask } from '../policy/types.ts';

/**
 * What a server tells, in this project's words. Whoever decides about turns reads these; the shapes of the wire stay in the
 * folder of their protocol, which translates them.
 */

/** What a session reports when a turn failed: the provider's or opencode's error, its text already made safe to show. */
export interface TurnError {
  /**
   * What it means, whatever opencode calls it: somebody aborted the turn, the provider failed, the context is full, the answer was filtered
   * or cut off, a provider's package could not be loaded, or another fault.
   */
  readonly kind: 'aborted' | 'provider' | 'overflow' | 'filtered' | 'truncated' | 'package' | 'other';
  /** opencode's name of it, which is its protocol's. */
  readonly name: string;
  readonly message: string;
  readonly statusCode?: number;
  readonly retryable?: boolean;
  /** When the provider wants to be asked again (milliseconds since the epoch), where a refusal that is not repeated names it. */
  readonly resetAtMs?: number;
}

/** opencode waits before it asks the provider again. */
export interface ProviderRetry {
  readonly attempt: number;
  readonly message: string;
  /** Milliseconds since the epoch. */
  readonly nextAtMs: number;
}

/** Tokens of one assistant message. */
export interface MessageTokens {
  readonly input: number;
  readonly output: number;
  readonly reasoning: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
}

/** A message as it stands: the same message is told again each time it changes. */
export type MessageFacts = UserMessageFacts | AssistantMessageFacts;

export interface UserMessageFacts {
  readonly role: 'user';
  readonly id: string;
  readonly sessionId: string;
}

export interface AssistantMessageFacts {
  readonly role: 'assistant';
  readonly id: string;
  readonly sessionId: string;
  /** The user message that it answers. */
  readonly parentId: string;
  /** Nothing is added to it any more. */
  readonly completed: boolean;
  /** Why the model stopped; absent for a shell line, and for a step that broke off. */
  readonly finish?: string;
  readonly error?: TurnError;
  readonly providerId: string;
  /** `provider/model` */
  readonly model: string;
  readonly tokens: MessageTokens;
  /** 0 also when no price is known. */
  readonly costUsd: number;
  /** The message whose stream broke off, with which this one goes on: what the model said is the text of both. On opencode 2 alone. */
  readonly continues?: string;
}

/** A part of a message as it stands: the same part is told again each time it changes. */
export type PartFacts = { readonly id: string; readonly messageId: string } &
  /** What the model (or the user) says, or thinks. `ended` is false while the deltas are ahead of it. */
  (
    | { readonly type: 'text'; readonly text: string; readonly ended: boolean }
    | { readonly type: 'reasoning'; readonly text: string; readonly ended: boolean }
    /** The provider is asked, or asked again within the same message. */
    | { readonly type: 'step' }
    | {
        readonly type: 'tool';
        readonly tool: string;
        readonly status: 'pending' | 'running' | 'completed' | 'failed';
        readonly input: unknown;
        /** What it printed so far, or why it failed. */
        readonly output: string;
        /** It runs, or was broken off, where only the end of the server ends it for certain: a custom tool, or one of an MCP server. */
        readonly mayGoOn?: true;
        /** Of a shell line that ended, where it is known: null when it left none. */
        readonly exitCode?: number | null;
      }
    | { readonly type: 'other' }
  );

export interface MessageHistory {
  readonly message: MessageFacts;
  readonly parts: readonly PartFacts[];
}

/** A permission or question that waits for an answer. */
export type AskFacts = Ask & { readonly directory: string };

/** What one session's events say. They may come twice, late or early. */
export type SessionFact =
  | { readonly type: 'session.busy' }
  | { readonly type: 'session.idle' }
  | { readonly type: 'session.retrying'; readonly retry: ProviderRetry }
  | { readonly type: 'session.errored'; readonly error: TurnError }
  | { readonly type: 'session.deleted' }
  | { readonly type: 'message'; readonly message: MessageFacts }
  | { readonly type: 'part'; readonly part: PartFacts }
  | { readonly type: 'delta'; readonly messageId: string; readonly partId: string; readonly field: string; readonly delta: string }
  | { readonly type: 'ask.opened'; readonly ask: AskFacts }
  | { readonly type: 'ask.closed'; readonly askId: string; readonly answer: 'allowed' | 'denied' | 'answered' };

/** What was read, and since when it was surely asked for: it may be newer, it is not older (milliseconds since the epoch). */
export interface Reading<Value> {
  readonly value: Value;
  readonly sinceMs: number;
}

/** Sessions of a directory that are not idle; an idle one is absent. */
export type StatusFacts = Readonly<Record<string, 'busy' | ProviderRetry>>;

/** A read of a directory's volatile state: several answers, each true at a time of its own. */
export interface DirectoryFacts {
  readonly status: Reading<StatusFacts>;
  /** null when the server could not list them. */
  readonly asks: Reading<readonly AskFacts[]> | null;
}
