import type { CallOptions } from '../http/index.ts';
import type { PermissionPolicy, PermissionPolicyRule } from '../policy/index.ts';
import type {
  FileDiff,
  MessageWithParts,
  PermissionRequest,
  PermissionRuleset,
  PromptPart,
  QuestionRequest,
  SessionInfo,
  SessionStatus,
  Todo,
  TurnError,
  TurnRequest,
} from '../protocol/index.ts';
import type { TurnProof } from '../turn/index.ts';

export type { DirectorySnapshot } from '../protocol/index.ts';

/** Choices of one turn. */
export interface TurnOptions {
  /** `provider/model`; the configuration's `model` when absent. */
  readonly model?: string;
  /** Name of an agent of the configuration; `build` when absent. */
  readonly agent?: string;
  /** Text added to the system prompt of this turn alone, after the workspace's instructions. */
  readonly system?: string;
  /** Id for our user message; a fresh one when absent. The same id twice appends to the same message. */
  readonly messageId?: string;
}

/** Tokens of a turn, summed over its assistant messages. */
export interface TokenUsage {
  readonly input: number;
  readonly output: number;
  readonly reasoning: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
}

/** How a turn ended. */
export interface TurnResult {
  /** Id of our user message. */
  readonly messageId: string;
  /** Id of the final assistant message. */
  readonly answerId: string;
  /** Text of the final assistant message; for a shell line what it printed. */
  readonly text: string;
  /** opencode's finish reason of the final message; none for a shell line. */
  readonly finish?: string;
  /** Of a shell line; null when it left none: its syntax is wrong, or its shell was ended. Absent for other turns. */
  readonly exitCode?: number | null;
  /** What is odd about the end, for example a finish reason that is not known. */
  readonly note?: string;
  /** Every assistant message of the turn with its parts, oldest first. */
  readonly messages: readonly MessageWithParts[];
  readonly usage: TokenUsage;
  /** As opencode computed it from the model's price; 0 also when no price is known. */
  readonly costUsd: number;
  readonly durationMs: number;
  /** Permission requests and questions of the turn, sub-agents' included, and what became of each. */
  readonly asks: readonly TurnAsk[];
  /** Which signals proved the end. */
  readonly proof: TurnProof;
}

/**
 * A permission request or a question of a turn, and how it was answered. One that somebody else answered between two reads of the
 * server's state is not listed.
 */
export interface TurnAsk {
  readonly kind: 'permission' | 'question';
  /** The session that asked: the turn's own or one of its sub-agents'. */
  readonly sessionId: string;
  readonly permission?: string;
  readonly patterns?: readonly string[];
  /** `escalated`: left to somebody else. `unanswered`: somebody else was faster, or the turn was over first. */
  readonly answer: 'allowed' | 'denied' | 'answered' | 'escalated' | 'unanswered';
  /** Why the policy could not decide, for example what a callback threw. */
  readonly reason?: string;
  /** Rules that would allow it, when it was not allowed. */
  readonly rules?: readonly PermissionPolicyRule[];
}

export interface TurnCallOptions extends TurnOptions {
  /**
   * How permission requests and questions of this turn and its sub-agents are answered, each `once`; the session's policy when absent.
   * With `'escalate'` they stay open: see {@link Session.getState} for what is asked, and answer with `server.answerPermission` or
   * `server.answerQuestion`.
   */
  readonly permissions?: PermissionPolicy;
  /** Whether a turn that ends without text is good (`allow`), as work whose result is in files may. Default `refuse`: `ANSWER_EMPTY`. */
  readonly emptyAnswer?: 'allow' | 'refuse';
  /** Deadline for the whole turn in milliseconds, waiting in the queue included; none when absent. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** `idle`: can take a turn. `busy`: a turn runs. `retry`: opencode waits for the provider. */
export interface SessionState {
  readonly status: SessionStatus['type'];
  /** Present while opencode waits before it asks the provider again; `nextAtMs` is milliseconds since the epoch. */
  readonly retry?: { readonly attempt: number; readonly message: string; readonly nextAtMs: number };
  /** Open permission requests of the session and its sub-agents. */
  readonly pendingPermissions: readonly PermissionRequest[];
  /** Open questions of the session and its sub-agents. */
  readonly pendingQuestions: readonly QuestionRequest[];
  /** Turns of this session that wait in our own queue. */
  readonly queued: number;
}

/** What opencode says of one session, from some time on. */
export interface ErrorWatch {
  /** The first error that was said. */
  failure(): TurnError | undefined;
  stop(): void;
}

/**
 * The bare operations of one session: each is one request, with a deadline and no queue, besides what it must look at. `Session` and
 * the pool's actors both stand on this; whoever uses it directly must keep to one turn at a time.
 */
export interface SessionOperations {
  readonly id: string;
  readonly directory: string;
  /**
   * Starts a turn. A prompt is accepted when this resolves; a command or shell line resolves when its turn is over, so
   * watch events or snapshots instead and abort the call through `signal` when no longer wanted (the turn goes on).
   */
  submit(turn: TurnRequest, options?: CallOptions): Promise<void>;
  abort(options?: CallOptions): Promise<void>;
  info(options?: CallOptions): Promise<SessionInfo>;
  /** Messages with their parts, oldest first; the newest `limit` when given. */
  messages(query?: { readonly limit?: number }, options?: CallOptions): Promise<MessageWithParts[]>;
  children(options?: CallOptions): Promise<SessionInfo[]>;
  /** @throws `PROTOCOL_UNSUPPORTED` */
  todos(options?: CallOptions): Promise<Todo[]>;
  /** @throws `MESSAGE_UNKNOWN` */
  diff(messageId: string, options?: CallOptions): Promise<FileDiff[]>;
  /** @throws `MESSAGE_UNKNOWN` */
  fork(messageId?: string, options?: CallOptions): Promise<SessionInfo>;
  /** @throws `MESSAGE_UNKNOWN` */
  revert(messageId: string, options?: CallOptions): Promise<SessionInfo>;
  unrevert(options?: CallOptions): Promise<SessionInfo>;
  rename(title: string, options?: CallOptions): Promise<SessionInfo>;
  /** Resolves when the summary is made; leaves nothing of one that fails or is given up. @throws as {@link Session.summarize} */
  summarize(model: string, options?: CallOptions): Promise<void>;
  delete(options?: CallOptions): Promise<void>;
}

export interface CreateSessionOptions extends CallOptions {
  readonly title?: string;
  /** Absolute path of an existing directory; the server's own when absent. */
  readonly directory?: string;
  /** opencode's own permission rules for this session alone, over those of the configuration: what it asks about at all. */
  readonly permission?: PermissionRuleset;
  /** How what it asks about is answered in the session's turns; each turn may say otherwise. Default `deny`. */
  readonly permissions?: PermissionPolicy;
}

export interface RevertOptions extends CallOptions {
  /** Revert although work of others is taken back too. */
  readonly force?: boolean;
}

/**
 * One session of the server. A deadline (`timeoutMs`) and a signal count for the whole of a call, its wait in the queue included; without
 * one each request has 15 s. Turns are queued here and run one at a time, because opencode merges prompts that reach a
 * busy session. A turn's end is proven by reading the server's state (see `proveTurnEnd`); no event stream is needed.
 *
 * All calls throw `OpencodeManagerError`; besides those of the HTTP layer (`REQUEST_TIMEOUT`, `CONNECTION_LOST`, ...)
 * each method names its own.
 *
 * @example
 * const session = await server.createSession({ title: 'readme' })
 * const { text, usage } = await session.prompt('Summarise the README', { timeoutMs: 120_000 })
 * @public
 */
export interface Session {
  readonly id: string;
  readonly directory: string;
  /**
   * Runs one turn to its proven end.
   * @throws `CONFIG_INVALID`, `PROMPT_INVALID`, `MODEL_UNKNOWN`, `AGENT_UNKNOWN` before anything is sent; `TURN_FAILED`, `TURN_TIMEOUT`,
   * `TURN_ABORTED`, `TURN_INTERRUPTED`, `INPUT_NEEDED`, `ANSWER_EMPTY`, `ANSWER_TRUNCATED`, `ANSWER_FILTERED` after
   * (docs/outcomes.md says which finish reason gives which).
   */
  prompt(prompt: string | readonly PromptPart[], options?: TurnCallOptions): Promise<TurnResult>;
  /** Queues a turn and resolves with the id of its user message as soon as the server has accepted it. */
  promptAsync(prompt: string | readonly PromptPart[], options?: TurnCallOptions): Promise<{ readonly messageId: string }>;
  /** Runs a command of the configuration (`/name arguments` in the TUI). @throws also `COMMAND_UNKNOWN` */
  executeCommand(name: string, args?: string, options?: TurnCallOptions): Promise<TurnResult>;
  /**
   * Runs a shell line in the session's directory, as `!line` in the TUI does; no model is asked. Resolves for a line that fails, too: read
   * `exitCode`.
   */
  executeShell(command: string, options?: TurnCallOptions): Promise<TurnResult>;
  /**
   * Takes the session, and the files, back to before a message. Waits for queued turns first. opencode takes back every file
   * that changed in the worktree while a step ran, whoever changed it. So without `force` it is refused when another session had a
   * turn in that worktree since, or when one of those files was changed since; the details name `sessions` and `files`. Changes
   * that a person or program made while a step ran cannot be told from the session's own.
   * @throws `SNAPSHOTS_OFF`, `REVERT_OUTSIDE_GIT`, `MESSAGE_UNKNOWN`, `REVERT_CONFLICT`, `SESSION_BUSY`
   */
  revertMessage(messageId: string, options?: RevertOptions): Promise<void>;
  /** Takes the last revert back: all files of the worktree become what they were before it. @throws `SNAPSHOTS_OFF`, `SESSION_BUSY` */
  unrevert(options?: CallOptions): Promise<void>;
  /** Aborts the turn in flight and resolves when the session is idle. @throws `ABORT_UNCONFIRMED` */
  abort(options?: CallOptions): Promise<void>;
  /** A new session with this one's history (up to `messageId` when given). @throws `MESSAGE_UNKNOWN` */
  fork(messageId?: string, options?: CallOptions): Promise<Session>;
  messages(query?: { readonly limit?: number }, options?: CallOptions): Promise<MessageWithParts[]>;
  /** Messages that were not returned by an earlier `unread()`, finalised ones only, oldest first; moves the cursor. */
  unread(options?: CallOptions): Promise<MessageWithParts[]>;
  /** @throws `PROTOCOL_UNSUPPORTED` */
  todos(options?: CallOptions): Promise<Todo[]>;
  /** Files changed by the turn of a message; the latest user message when absent. @throws `SNAPSHOTS_OFF`, `MESSAGE_UNKNOWN` */
  diff(messageId?: string, options?: CallOptions): Promise<FileDiff[]>;
  /** Sub-agent sessions. */
  children(options?: CallOptions): Promise<SessionInfo[]>;
  rename(title: string, options?: CallOptions): Promise<void>;
  /**
   * Replaces the history by a summary that `model` (`provider/model`) writes. Waits for queued turns first. One that fails or is given up is
   * ended, and leaves nothing behind.
   * @throws `MODEL_UNKNOWN`, `TURN_FAILED`, `TURN_ABORTED`, `TURN_INTERRUPTED`, `ANSWER_EMPTY`, `ANSWER_TRUNCATED`, `ANSWER_FILTERED`
   */
  summarize(model: string, options?: CallOptions): Promise<void>;
  getState(options?: CallOptions): Promise<SessionState>;
  /** True when the server still knows the session. Never throws. */
  isAlive(options?: CallOptions): Promise<boolean>;
  /** Aborts, waits for idle, deletes (opencode goes on with the turn of a session deleted while busy). Idempotent. */
  delete(options?: CallOptions): Promise<void>;
}
