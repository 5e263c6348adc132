import type * as z from 'zod';

import type { Conversation } from '../model/conversation.ts';
import type { conditionSchema, faults, purposes, replySchema, ruleSchema, scriptSchema } from './schema.ts';

/** What opencode asks a model for: an answer in a turn, a session's title, or a summary for compaction. @public */
export type Purpose = (typeof purposes)[number];

/** Something that goes wrong with an answer; see the README's table. @public */
export type Fault = (typeof faults)[number];

/** One answer of the model. @public */
export type Reply = z.input<typeof replySchema>;

/** What a call must look like, as it stands in a file. */
type FileCondition = z.input<typeof conditionSchema>;

/** A rule as it stands in a file. */
type FileRule = z.input<typeof ruleSchema>;

/** A script as it stands in a file; `loadScript` gives one. @public */
export type FileScript = z.input<typeof scriptSchema>;

/** A text that must be contained, a regular expression, or what a file can say. @public */
export type TextMatch = NonNullable<FileCondition['user']> | RegExp;

/** A text, a reply, or, in code, a function that gives one of them. @public */
export type ReplySource = string | Reply | ((conversation: Conversation) => string | Reply);

type TextField = 'user' | 'system' | 'history' | 'toolResult';

/** What a call must look like; everything that is given must hold. @public */
export interface Condition extends Omit<FileCondition, TextField>, Partial<Record<TextField, TextMatch | undefined>> {
  /** In code only: decides together with the other conditions. */
  readonly test?: ((conversation: Conversation) => boolean) | undefined;
}

/**
 * One rule of a script written in code.
 *
 * @example
 * const rule: Rule = { when: { user: /answer (\d+)/ }, reply: 'The answer is {{user.1}}.' }
 * @public
 */
export interface Rule extends Omit<FileRule, 'when' | 'reply'> {
  readonly when?: Condition | undefined;
  readonly reply: ReplySource | readonly ReplySource[];
}

/** A script written in code: rules may hold regular expressions and functions. A {@link FileScript} is one too. @public */
export interface Script extends Omit<FileScript, 'rules' | 'default'> {
  readonly rules?: readonly Rule[] | undefined;
  readonly default?: ReplySource | undefined;
}
