import type { Condition } from '../script/types.ts';
import type { Conversation } from './conversation.ts';
import type { Values } from './placeholders.ts';
import { compileTextMatch, type TextMatcher } from './text-match.ts';
import { isToolMeant } from './tool-names.ts';

const textFields = ['user', 'system', 'history', 'toolResult'] as const;

/** Gives the placeholders' values when a conversation meets the condition, undefined when it does not. */
export interface Matcher {
  match(conversation: Conversation): Values | undefined;
  /** Placeholders that this condition's groups provide. */
  readonly provides: readonly string[];
}

/** Everything of a condition but `call`, which needs a counter. Throws a `SyntaxError` for a malformed regular expression. */
export function compileCondition(condition: Condition): Matcher {
  const texts = textFields.flatMap((field) => {
    const match = condition[field];
    return match === undefined ? [] : [{ field, matcher: compileTextMatch(match) }];
  });
  return {
    provides: texts.flatMap(({ field, matcher }) => matcher.groupNames.map((group) => `${field}.${group}`)),
    match: (conversation) => (meetsFacts(condition, conversation) ? matchTexts(texts, conversation) : undefined),
  };
}

function meetsFacts(condition: Condition, conversation: Conversation): boolean {
  const wanted: readonly (readonly [unknown, unknown])[] = [
    [condition.step, conversation.step],
    [condition.turn, conversation.turn],
    [condition.model, conversation.model],
    [condition.stream, conversation.stream],
    [condition.tools, conversation.tools.length > 0],
    [condition.purpose ?? 'turn', conversation.purpose],
  ];
  if (wanted.some(([want, have]) => want !== undefined && want !== have)) return false;
  const { afterTool, offersTool } = condition;
  const { tools } = conversation;
  if (afterTool !== undefined && !isToolMeant(afterTool, conversation.afterTool, tools)) return false;
  if (offersTool !== undefined && !tools.some((name) => isToolMeant(offersTool, name, tools))) return false;
  return condition.test?.(conversation) ?? true;
}

function matchTexts(
  texts: readonly { field: (typeof textFields)[number]; matcher: TextMatcher }[],
  conversation: Conversation,
): Values | undefined {
  const values: Record<string, string> = {};
  for (const { field, matcher } of texts) {
    const text = conversation[field];
    const groups = text === undefined ? undefined : matcher(text);
    if (groups === undefined) return undefined;
    for (const [group, value] of Object.entries(groups)) values[`${field}.${group}`] = value;
  }
  return values;
}
