import type { Ask, AskedQuestion } from '../policy/types.ts';
import type { ProviderRetry } from './facts.ts';
import type { Recorded } from './messages.ts';

/** A session as the server keeps it. Times are milliseconds since the epoch. */
export interface SessionInfo extends Recorded {
  readonly id: string;
  readonly title: string;
  /** Where its turns run. */
  readonly directory: string;
  /** The session whose sub-agent it is. */
  readonly parentId?: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** The message to before which it is reverted, until the next prompt or an unrevert. */
  readonly revertedTo?: string;
}

/**
 * `idle`: can take a turn. `busy`: a turn runs. `retry`: opencode waits before it asks the provider again; its record may say what its user
 * can do about that.
 */
export type SessionStatus = { readonly type: 'idle' } | { readonly type: 'busy' } | ({ readonly type: 'retry' } & ProviderRetry & Recorded);

/** An entry of the list of things to do that an agent keeps. */
export interface Todo {
  readonly content: string;
  /** `pending`, `in_progress`, `completed` or `cancelled` */
  readonly status: string;
  /** `high`, `medium` or `low` */
  readonly priority: string;
}

/** How a file differs. */
export interface FileDiff {
  readonly file?: string;
  /** In unified form. */
  readonly patch?: string;
  /** Lines. */
  readonly additions: number;
  /** Lines. */
  readonly deletions: number;
  readonly status?: 'added' | 'deleted' | 'modified';
}

/** An open request for a permission. `directory` is absent in an event, which names it itself. */
export interface PermissionRequest extends Ask, Recorded {
  readonly kind: 'permission';
  /**
   * `bash`, `edit`, `webfetch`, `external_directory` ...: the names that policies have. A protocol with names of its own translates them: by `bash` a policy
   * knows a shell line, and matches it with care.
   */
  readonly permission: string;
  readonly patterns: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly always: readonly string[];
}

/** An open question. `directory` is absent in an event, which names it itself. */
export interface QuestionRequest extends Ask, Recorded {
  readonly kind: 'question';
  readonly questions: readonly AskedQuestion[];
}

/**
 * A read of one directory's volatile state: what the event stream does not replay. It is three answers, not one moment: each
 * part was true at a time after its request was sent.
 */
export interface DirectorySnapshot {
  /** Milliseconds since the epoch at which the read was started; no part is older. */
  readonly startedAtMs: number;
  /** Milliseconds since the epoch at which the request for each part was sent. */
  readonly sentAtMs: { readonly status: number; readonly permissions: number; readonly questions: number };
  /** Sessions that are not idle; an idle session is absent. */
  readonly status: Readonly<Record<string, SessionStatus>>;
  /** Open permission requests. opencode keeps those of aborted turns: nobody waits for one whose session is idle. */
  readonly permissions: readonly PermissionRequest[];
  /**
   * Why the server could not list its permission requests; `permissions` is empty then. opencode 1.18 cannot while one of them
   * asks for `webfetch` without a timeout, or for `glob` or `grep` without a path.
   */
  readonly permissionsUnreadable?: string;
  readonly questions: readonly QuestionRequest[];
}

/** A rule of opencode's own: of those that match, the last decides. */
export interface PermissionRule {
  readonly permission: string;
  readonly pattern: string;
  readonly action: 'allow' | 'deny' | 'ask';
}

export type PermissionRuleset = readonly PermissionRule[];
