import { matchesShellLine } from './shell-line.ts';
import type { Ask, AskDecision, PermissionCallback, PermissionPolicy, PermissionPolicyRule } from './types.ts';
import { matchesWildcard } from './wildcard.ts';

const nobodyHere = 'Nobody is here to allow this. Go on without it, or say in your answer what you would need.';

/**
 * Decides one ask by a policy. Never throws: a callback that throws, or gives what is no decision, denies the ask, and `reason`
 * says why. A question is answered only by a callback; every other policy rejects or escalates it.
 *
 * @example
 * await decideAsk([{ permission: 'bash', pattern: 'npm test', action: 'allow' }], ask) // { action: 'allow' } or { action: 'deny', ... }
 */
export async function decideAsk(policy: PermissionPolicy, ask: Ask): Promise<AskDecision> {
  if (typeof policy === 'function') return decideByCallback(policy, ask);
  if (policy === 'escalate') return { action: 'escalate' };
  if (policy === 'allow' && ask.kind === 'permission') return { action: 'allow' };
  if (!Array.isArray(policy)) return { action: 'deny', message: nobodyHere };
  return decideByRules(policy as readonly PermissionPolicyRule[], ask);
}

async function decideByCallback(callback: PermissionCallback, ask: Ask): Promise<AskDecision> {
  try {
    const given: unknown = await callback(ask);
    const reason = whyNoDecision(given, ask);
    // A copy: what was looked at is what counts.
    return reason === undefined ? { ...(given as AskDecision) } : { action: 'deny', message: nobodyHere, reason };
  } catch (error) {
    return { action: 'deny', message: nobodyHere, reason: `The permission callback failed: ${textOf(error)}` };
  }
}

/** Why a callback's value cannot be taken as a decision; undefined when it can. */
function whyNoDecision(given: unknown, ask: Ask): string | undefined {
  const wanted = `{ action: 'allow' | 'deny' | 'escalate' }, or for a question { action: 'answer', answers }`;
  if (given === undefined) return `The permission callback returned nothing (a forgotten return?). It must give ${wanted}.`;
  const { action, answers, message } = (typeof given === 'object' && given !== null ? given : {}) as Record<string, unknown>;
  const noDecision = `The permission callback returned ${textOf(given)}, which is no decision. It must give ${wanted}.`;
  if (message !== undefined && typeof message !== 'string') return noDecision;
  if (action === 'deny' || action === 'escalate') return undefined;
  if (action === 'allow') {
    return ask.kind === 'permission' ? undefined : 'The permission callback allowed a question; a question needs an answer.';
  }
  if (action !== 'answer') return noDecision;
  if (ask.kind !== 'question') return 'The permission callback answered a permission request like a question.';
  return areAnswers(answers) ? undefined : noDecision;
}

function areAnswers(answers: unknown): boolean {
  return Array.isArray(answers) && answers.every((labels) => Array.isArray(labels) && labels.every((label) => typeof label === 'string'));
}

/** Whatever stands there, or throws when it is read. */
function messageOf(error: Error): string {
  try {
    const message: unknown = error.message;
    return typeof message === 'string' ? message : 'an error without a message';
  } catch {
    return 'an error without a message';
  }
}

function textOf(value: unknown): string {
  if (value instanceof Error) return messageOf(value);
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`;
  try {
    return (JSON.stringify(value) ?? String(value)).slice(0, 200);
  } catch {
    return `a ${typeof value}`;
  }
}

/** An ask over several patterns is allowed only when each of them is. */
function decideByRules(rules: readonly PermissionPolicyRule[], ask: Ask): AskDecision {
  const patterns = ask.patterns?.length ? ask.patterns : [''];
  const matched = patterns.map((pattern) => rules.find((rule) => ruleMatches(rule, ask.permission ?? ask.kind, pattern)));
  const denial = matched.find((rule) => rule?.action === 'deny');
  const denied = { action: 'deny', message: denial?.message ?? nobodyHere } as const;
  if (denial || matched.includes(undefined)) return denied;
  if (matched.some((rule) => rule?.action === 'escalate')) return { action: 'escalate' };
  // A rule has no answer to a question. An action that is none of ours allows nothing.
  return ask.kind === 'permission' && matched.every((rule) => rule?.action === 'allow') ? { action: 'allow' } : denied;
}

/** Rules that allow match narrowly, all others widely: what is in doubt is not allowed. */
function ruleMatches(rule: PermissionPolicyRule, permission: string, pattern: string): boolean {
  if (typeof rule?.permission !== 'string' || !matchesWildcard(rule.permission, permission)) return false;
  if (rule.pattern === undefined) return true;
  return rule.action === 'allow' && permission === 'bash'
    ? matchesShellLine(rule.pattern, pattern)
    : matchesWildcard(rule.pattern, pattern);
}
