import type { Ask, PermissionPolicyRule } from './types.ts';

/**
 * The narrowest rules that allow an ask: given as the policy they do. One for each of its patterns, because a compound shell line
 * asks for each of its commands. None for a question, which no rule can answer. opencode has no escape for `*`: a pattern
 * with one in it matches other texts too.
 *
 * @example
 * rulesFor(ask) // [{ permission: 'bash', pattern: 'rm -f one.txt', action: 'allow' }]
 */
export function rulesFor(ask: Pick<Ask, 'kind' | 'permission' | 'patterns'>): readonly PermissionPolicyRule[] {
  if (ask.kind === 'question') return [];
  const permission = ask.permission ?? ask.kind;
  if (!ask.patterns?.length) return [{ permission, action: 'allow' }];
  return [...new Set(ask.patterns)].map((pattern) => ({ permission, pattern, action: 'allow' }));
}
