/**
 * How permission requests and questions are answered when nobody sits in front of the screen. `deny` rejects each with a message, so
 * that the turn goes on; `allow` answers `once`; `escalate` leaves each open for somebody else; rules are tried in order (first
 * match wins, what matches none is denied). A callback decides each; it cannot be written in a task file. An answer counts for one
 * request, never for the session or the server.
 *
 * @example
 * const policy: PermissionPolicy = [
 *   { permission: 'bash', pattern: 'npm test', action: 'allow' },
 *   { permission: 'edit', pattern: 'docs/*', action: 'allow' },
 *   { permission: 'webfetch', action: 'deny', message: 'No network.' },
 * ]
 * @public
 */
export type PermissionPolicy = 'deny' | 'allow' | 'escalate' | readonly PermissionPolicyRule[] | PermissionCallback;

export interface PermissionPolicyRule {
  /** opencode's name of the permission (`bash`, `edit`, `webfetch`, `external_directory` ...), `*` as wildcard. */
  readonly permission: string;
  /**
   * Pattern over what is asked for (a command line, a path), `*` as wildcard; any when absent or `*`. When an `allow` rule
   * is tried on a shell line, the wildcard stands for harmless text alone: see {@link matchesShellLine}.
   */
  readonly pattern?: string;
  readonly action: 'allow' | 'deny' | 'escalate';
  /** Said to the model with a rejection. */
  readonly message?: string;
}

/** One question of a question request. */
export interface AskedQuestion {
  readonly question: string;
  /** Labels of the options; an answer names them. */
  readonly options: readonly string[];
  /** The options with what each means. */
  readonly choices?: readonly { readonly label: string; readonly description: string }[];
  /** A very short title. */
  readonly header?: string;
  /** Several options may be chosen. */
  readonly multiple?: boolean;
  /** An answer may be none of the options. */
  readonly custom?: boolean;
}

/** A permission request or a question, as a callback sees it. */
export interface Ask {
  readonly kind: 'permission' | 'question';
  readonly id: string;
  /** The session that asks: the turn's own or one of its sub-agents'. */
  readonly sessionId: string;
  /** Present when the turn belongs to a task of a pool. */
  readonly taskId?: string;
  /** The directory of the session. */
  readonly directory?: string;
  readonly permission?: string;
  /** What is asked for: each command of a shell line, or paths, or a URL. All must be allowed. */
  readonly patterns?: readonly string[];
  /** What else opencode tells, by permission: `command` of a shell line, `filepath` and `diff` of an edit, `url` of a fetch. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** Patterns that opencode itself would allow from now on after the answer `always`, which is never sent. */
  readonly always?: readonly string[];
  /** The call of the tool that asks. */
  readonly tool?: { readonly messageId: string; readonly callId: string };
  readonly questions?: readonly AskedQuestion[];
}

/**
 * What becomes of an ask. `answer` gives one list of labels a question. `escalate` leaves the ask open for somebody else. `reason` of
 * a denial says why the policy could not decide; it stands in the result and is not told to the model, which hears `message`.
 */
export type AskDecision =
  | { readonly action: 'allow' }
  | { readonly action: 'deny'; readonly message?: string; readonly reason?: string }
  | { readonly action: 'answer'; readonly answers: readonly (readonly string[])[] }
  | { readonly action: 'escalate' };

export type PermissionCallback = (ask: Ask) => AskDecision | Promise<AskDecision>;
