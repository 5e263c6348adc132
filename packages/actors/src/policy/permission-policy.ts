import type { Ask, AskDecision, PermissionPolicy, PermissionPolicyRule } from '../task/types.ts';
import { matchesWildcard } from './wildcard.ts';

const nobodyHere = 'Nobody is here to allow this. Go on without it, or say in your answer what you would need.';

/**
 * Decides one ask by a policy. Never throws: a callback that does denies the ask and says why. A question is answered
 * only by a callback; every other policy rejects or escalates it.
 */
export async function decideAsk(policy: PermissionPolicy, ask: Ask): Promise<AskDecision> {
  if (typeof policy === 'function') return decideByCallback(policy, ask);
  if (policy === 'allow' && ask.kind === 'permission') return { action: 'allow' };
  if (typeof policy === 'string') return { action: 'deny', message: nobodyHere };
  return decideByRules(policy, ask);
}

async function decideByCallback(callback: Extract<PermissionPolicy, (ask: Ask) => unknown>, ask: Ask): Promise<AskDecision> {
  try {
    return await callback(ask);
  } catch (error) {
    return { action: 'deny', message: `The permission callback failed: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** An ask over several patterns is allowed only when each of them is. */
function decideByRules(rules: readonly PermissionPolicyRule[], ask: Ask): AskDecision {
  const patterns = ask.patterns?.length ? ask.patterns : [''];
  const matched = patterns.map((pattern) => rules.find((rule) => ruleMatches(rule, ask.permission ?? ask.kind, pattern)));
  const denial = matched.find((rule) => rule === undefined || rule.action === 'deny');
  if (denial || matched.includes(undefined)) return { action: 'deny', message: denial?.message ?? nobodyHere };
  if (matched.some((rule) => rule?.action === 'escalate')) return { action: 'escalate' };
  return { action: 'allow' };
}

function ruleMatches(rule: PermissionPolicyRule, permission: string, pattern: string): boolean {
  return matchesWildcard(rule.permission, permission) && (rule.pattern === undefined || matchesWildcard(rule.pattern, pattern));
}
