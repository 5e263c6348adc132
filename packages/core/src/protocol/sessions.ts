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

/** A rule of opencode's own: of those that match, the last decides. */
export interface PermissionRule {
  readonly permission: string;
  readonly pattern: string;
  readonly action: 'allow' | 'deny' | 'ask';
}

export type PermissionRuleset = readonly PermissionRule[];
