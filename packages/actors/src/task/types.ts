import type { PermissionPolicy, PermissionPolicyRule, ProtocolName, SerializedError, TurnProof } from '@opencode-manager/core';

export type { Ask, AskDecision, PermissionCallback, PermissionPolicy, PermissionPolicyRule } from '@opencode-manager/core';

/** What a task asks for; exactly one of `prompt`, `command` and `shell`. Plain JSON. */
export interface Task {
  /** Unique within the pool; generated when absent. */
  readonly id?: string;
  readonly prompt?: string;
  /** Files and images that go with the prompt. */
  readonly files?: readonly TaskFile[];
  /** A command of the configuration, with its arguments: `"review src/"` or `"/review src/"`. */
  readonly command?: string;
  /** A shell line, run in the session's directory without a model. */
  readonly shell?: string;
  /** Absolute path; the server's directory when absent. */
  readonly directory?: string;
  /**
   * Where the task works: `shared` in its directory itself; any other word in a place of its own made of it, of the mode that the
   * pool's `workspaces` know by this word. Default: the pool's `workspace`. A task of a leased session has none.
   */
  readonly workspace?: string;
  /** `provider/model` */
  readonly model?: string;
  readonly agent?: string;
  /** Added to the system prompt of the task's turn. */
  readonly system?: string;
  readonly title?: string;
  /**
   * Deadline in milliseconds; the pool's `taskTimeoutMs` when absent. It counts from the start of the turn; for a task of a leased
   * session from its submission, the wait in the session's queue included.
   */
  readonly timeoutMs?: number;
  readonly limits?: TaskLimits;
  /** Higher runs earlier; 0 when absent. First in, first out among equals. */
  readonly priority?: number;
  /** Tasks of one group share the slots fairly with those of other groups of the same priority. */
  readonly group?: string;
  /** How permission requests are answered; the pool's `permissions` when absent. A callback may stand beside the task instead, in the options of `run()`. */
  readonly permissions?: PermissionPolicy;
  /** Whether an answer without text and without a tool result fails the task (`ANSWER_EMPTY`). Default `refuse`. */
  readonly emptyAnswer?: 'allow' | 'refuse';
  /** Carried into the result untouched. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/**
 * What a task may take at most, its sub-agents included. Budgets (`steps`, `tokens`, `usd`) are looked at whenever a step of the model ends: the
 * task goes on for at most the step that is under way then, and ends as `over_budget` with what it has done. A field that is absent is no limit.
 */
export interface TaskLimits {
  /** Milliseconds from the start of its turn; as `timeoutMs` of the task, which goes before it. Ends as `timed_out`. */
  readonly timeoutMs?: number;
  /** Milliseconds of work: waits for the provider, and for answers to asks, are none. Ends as `timed_out`. */
  readonly workingMs?: number;
  /** Milliseconds without any sign of progress, in place of the pool's `stallTimeoutMs`. Ends as `stalled`. */
  readonly stallMs?: number;
  /** Steps of the model. */
  readonly steps?: number;
  /** Uncached input, output and reasoning. */
  readonly tokens?: number;
  /** Only what is priced counts: see `prices` of the pool. */
  readonly usd?: number;
}

/** A file for a prompt: exactly one of `path` and `url`. */
export interface TaskFile {
  /** Relative to the directory of the task, or absolute. */
  readonly path?: string;
  /** `file:`, `data:` or whatever the model's provider takes. */
  readonly url?: string;
  /** Media type; guessed from the name when absent, `text/plain` when that says nothing. */
  readonly mime?: string;
}

/** A turn of an attempt, by which it is found again in its session. */
export interface SentTurn {
  readonly sessionId: string;
  /** Our user message. */
  readonly messageId: string;
  /** The directory of the session. */
  readonly directory: string;
}

/** A turn that is about to go out. */
export interface OutgoingTurn extends SentTurn {
  readonly taskId: string;
  /** 1 for the first attempt. */
  readonly attempt: number;
}

/** The answer of a turn that has ended well, before its task is over. */
export interface TaskAnswer {
  readonly taskId: string;
  /** Our user message that it answers. */
  readonly messageId: string;
  readonly output: string;
  /** What the turns of the attempt have taken so far. */
  readonly spent: Pick<TaskResult, 'usage' | 'cost_usd' | 'model_calls' | 'tool_calls'>;
}

/** What becomes of a task that has an answer: null, it is over; it goes on with a prompt in the same session; or it has failed. */
export type AnswerVerdict = null | { readonly prompt: string } | { readonly error: SerializedError };

/** What stands beside a task: handles and callbacks, which are no JSON. */
export interface TaskOptions {
  readonly signal?: AbortSignal;
  /** In place of the task's own `permissions`. */
  readonly permissions?: PermissionPolicy;
  /**
   * Awaited before each turn of the task goes out, for a journal that is written ahead. When it rejects, nothing is sent, and the attempt
   * ends with what it says.
   *
   * @example
   * await pool.run(task, { beforeSend: ({ sessionId, messageId }) => journal.append({ sessionId, messageId }) })
   */
  readonly beforeSend?: (turn: OutgoingTurn) => Promise<void>;
  /**
   * Asked when a turn of the task has ended well, before what it did is taken and its end is told; it must settle. A further prompt is a turn of the
   * same attempt: `beforeSend` hears of it, the deadline counts on, and the result has the last answer and the sums of all turns. When it
   * rejects, the task fails with what it says.
   *
   * @example
   * await pool.run(task, { onAnswer: async ({ output }) => (output.includes('DONE') ? null : { prompt: 'Go on. Say DONE at the end.' }) })
   */
  readonly onAnswer?: (answer: TaskAnswer) => Promise<AnswerVerdict>;
  /**
   * A turn of the task that went out, or was to, before this pool was there; its session is on the pool's server. It is looked at before
   * anything is sent: when it has ended, its end is the result. When it broke off or never began, the task goes on as after the loss of a
   * server (see `onInterrupted` and `repeat`). Not for a task with a workspace.
   */
  readonly sent?: SentTurn;
  /**
   * A session that is there, in which the turn goes out, and its directory. Of a task with a workspace it is the place that an earlier one
   * has left with `keepsPlace`. One that is not there any more fails the attempt, and nothing is sent. For a pool with `repeat: false`.
   */
  readonly continues?: { readonly sessionId: string; readonly directory: string };
  /**
   * Asked when the task is over: whether its session and its place stay as they are, for a task that `continues` there. Must not throw.
   * Default: a place is given back.
   */
  readonly keepsPlace?: (result: TaskResult) => boolean;
  /** Longest wait for a provider that is sat out, in place of the pool's `maxRetryWaitMs`. */
  readonly maxRetryWaitMs?: number;
  /** false: it is begun once, whatever the pool does with other tasks (see its `repeat`). */
  readonly repeat?: false;
}

/** The closed set of outcomes; decided once a task. */
export const outcomes = [
  'succeeded',
  'failed',
  'timed_out',
  'stalled',
  'over_budget',
  'quota_exhausted',
  'needs_input',
  'runaway',
  'aborted',
  'interrupted',
  'server_lost',
] as const;
export type Outcome = (typeof outcomes)[number];

/** An ask and what was answered; part of each result. */
export interface AnsweredAsk {
  readonly kind: 'permission' | 'question';
  readonly session_id: string;
  readonly permission?: string;
  readonly patterns?: readonly string[];
  readonly answer: 'allowed' | 'denied' | 'answered' | 'unanswered';
  /** Why the policy could not decide it, where that was so. */
  readonly reason?: string;
  /** The rules that would allow it, when it was not: one for each of its patterns. */
  readonly rules?: readonly PermissionPolicyRule[];
}

export interface Usage {
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly reasoning_tokens: number;
  readonly cache_read_tokens: number;
  readonly cache_write_tokens: number;
}

/** A commit that an agent made. */
export interface WorkspaceCommit {
  readonly id: string;
  readonly subject: string;
  readonly author: string;
}

/** Something in a workspace that its patch does not hold. */
export interface WorkspaceRemnant {
  readonly path: string;
  readonly bytes: number;
  /** As the source of workspaces says: `ignored`, `nested_repository`, `too_large`, ... */
  readonly reason: string;
  /** Where it stays, with the workspace, because nothing else holds it; absent when it goes with the workspace. */
  readonly kept_at?: string;
}

/** What one repository holds of what a task did. */
export interface WorkspaceChanges {
  /** What the changes are against, whatever the agent committed. */
  readonly base_commit: string;
  /** The whole result; `ref` holds a commit with this tree whose parent is the base. */
  readonly tree: string;
  readonly ref: string;
  /** Path of the patch from base to tree, for `git apply`; null when nothing changed, or it would be too large: the ref has it all. */
  readonly patch: string | null;
  /** True when the patch would be too large; absent otherwise. */
  readonly truncated?: true;
  readonly files_changed: number;
  /** Lines. */
  readonly insertions: number;
  readonly deletions: number;
  /** The agent's own commits, newest first. */
  readonly commits: readonly WorkspaceCommit[];
}

/** What a task did in a workspace of its own; part of its result. */
export interface TaskWorkspaceResult extends WorkspaceChanges {
  /** What the patch does not hold. */
  readonly left_behind: readonly WorkspaceRemnant[];
  /** Tasks that were captured earlier and changed one of the same files. */
  readonly overlaps_with: readonly string[];
  /** What changed meanwhile in a repository that workspaces share (mode `worktree`), by whomever; absent when nothing did. */
  readonly source_changes?: readonly string[];
  /** Changed submodules, each with a patch of its own; absent when there is none. */
  readonly submodules?: readonly (WorkspaceChanges & { readonly path: string })[];
}

/** An attempt of a task that the loss of the server ended. */
export interface TaskAttempt {
  /** 1 for the first attempt. */
  readonly attempt: number;
  readonly session_id: string;
  /** Our user message. */
  readonly message_id: string;
  /** `interrupted`: the server had the prompt, and the answer broke off. `never_started`: the server never had it. */
  readonly outcome: 'interrupted' | 'never_started';
  /** Calls of the model that were seen of it; a result of the whole task counts its newest attempt alone. */
  readonly model_calls: number;
  /** What it did, when it had a workspace of its own. */
  readonly ref?: string;
  readonly patch?: string | null;
}

/** Which opencode ran a turn: its version, and the protocol that it was spoken to by (`v1` for 1.x, `v2` for 2.x). */
export interface RanOn {
  readonly version: string;
  readonly protocol: ProtocolName;
}

/** The four signals of the end of a turn: when each was seen (milliseconds since the epoch), and where. */
export type TaskProof = Readonly<
  Record<keyof TurnProof, { readonly at_ms: number; readonly source: TurnProof[keyof TurnProof]['source'] }>
>;

/**
 * The result of one task. Plain JSON; the same in code, in `--json` output and in result files. What a task did in a workspace of its
 * own (`base_commit`, `patch` and the others) is absent without one, and where it could not be taken.
 */
export interface TaskResult extends Partial<TaskWorkspaceResult> {
  readonly schema_version: 1;
  readonly id: string;
  readonly outcome: Outcome;
  /** 1 for the first attempt; 0 when the task ended before it had one. */
  readonly attempt: number;
  readonly session_id: string | null;
  /** Our user message. */
  readonly message_id: string | null;
  readonly directory: string;
  readonly model: string | null;
  /** The opencode that ran its newest attempt, or of which its end was read; absent when none did. */
  readonly opencode?: RanOn;
  /** Text of the final assistant message (for a shell task: the output of the line). */
  readonly output: string;
  /** What `output` says, of a task with an output schema that has succeeded; absent otherwise. */
  readonly output_json?: unknown;
  /** The model's own word for why it stopped (`stop`, `length`, ...; see docs/outcomes.md); null for a shell line, and where nothing ended. */
  readonly finish: string | null;
  /** Of a shell task that ended: null when the line left none (its syntax is wrong, or its shell was ended). Absent for other tasks. */
  readonly exit_code?: number | null;
  /** What is odd about the end though it counts as good, and why nothing was taken of a workspace; in sentences, absent when nothing is. */
  readonly notes?: readonly string[];
  /** Sub-agent sessions included. */
  readonly usage: Usage;
  /** Sub-agent sessions included. null when the price of a model is not known (opencode reports 0 then). */
  readonly cost_usd: number | null;
  /** What is known of the cost, where `cost_usd` is null. */
  readonly cost_known_usd?: number;
  /** Models without a known price, where `cost_usd` is null. */
  readonly unpriced_models?: readonly string[];
  /** Where prices are from: the pool's table, or both it and opencode; absent where opencode knows them all. */
  readonly cost_basis?: 'table' | 'mixed';
  /** From the start of the turn to its proven end. */
  readonly duration_ms: number;
  /** From submission to the start of the turn. */
  readonly queued_ms: number;
  /** Each of the four signals with the time it was seen and where; null when the end was not proven. */
  readonly proof: TaskProof | null;
  readonly asks: readonly AnsweredAsk[];
  /** Gaps of the event stream during the turn; one that it began in counts. */
  readonly gaps: number;
  /** Provider retries that were seen during the turn. */
  readonly retries: number;
  /**
   * Calls of the model during the turn (of the newest attempt): sub-agents, failed calls that were repeated, and summaries included; titles are
   * not. Exact when `gaps` is 0 (an abort may come between a step and its call, which counts then); else at least so many: a call that
   * failed during a gap leaves nothing that could be read.
   */
  readonly model_calls: number;
  /** Tool calls during the turn. */
  readonly tool_calls: number;
  readonly error: SerializedError | null;
  /** Secrets that were taken out of this result; absent without any. */
  readonly redacted?: number;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The task's; absent without one. */
  readonly group?: string;
  /** Time at which a spent quota is free again (ISO 8601), with `quota_exhausted`. */
  readonly reset_at?: string;
  /** How long its task has waited for a quota in this session, in milliseconds; no part of `duration_ms`. Absent when it has not. */
  readonly parked_ms?: number;
  /** The model whose quota was spent, when it ran with another in its place. */
  readonly fallback_from?: string;
  /** Earlier attempts, when the server was lost under the task. */
  readonly attempts?: readonly TaskAttempt[];
  /** True when an attempt broke off and what it had done to files may still be there; never with a workspace of its own. */
  readonly workspace_may_be_half_changed?: true;
}
