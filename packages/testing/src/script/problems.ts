import type * as z from 'zod';

import type { ScriptProblem } from './error.ts';

type Issue = z.core.$ZodIssue;

/** zod's issues as problems that name the rule and the field. */
export function problemsOf(issues: readonly Issue[], script: unknown): ScriptProblem[] {
  return issues.flatMap(innermost).map((issue) => problemOf(issue, script));
}

function problemOf(issue: Issue, script: unknown): ScriptProblem {
  const rule = ruleName(script, issue.path);
  return { path: formatPath(issue.path), ...(rule !== undefined && { rule }), message: formatIssue(issue) };
}

/**
 * A union reports each alternative's issues. The alternative that got furthest is the one that was meant: a reply object
 * with a misspelt key should be told about the key, not that it is no string.
 */
function innermost(issue: Issue): Issue[] {
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [issue];
  const alternatives = issue.errors.map((issues) =>
    issues.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] })).flatMap(innermost),
  );
  const meant = alternatives.find((issues) => issues.some((inner) => !isWrongType(inner, issue.path.length)));
  return meant ?? [{ ...issue, message: expectedOneOf(alternatives.flat()) }];
}

function expectedOneOf(issues: readonly Issue[]): string {
  const types = [...new Set(issues.flatMap((issue) => (issue.code === 'invalid_type' ? issue.expected : [])))];
  const received = issues[0]?.message.replace(/^.*, received/, 'received');
  return `expected ${new Intl.ListFormat('en', { type: 'disjunction' }).format(types)}, ${received}`;
}

function isWrongType(issue: Issue, depth: number): boolean {
  return issue.code === 'invalid_type' && issue.path.length === depth;
}

function formatPath(path: readonly PropertyKey[]): string {
  const text = path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  return text.replace(/^\./, '') || 'script';
}

function formatIssue(issue: Issue): string {
  if (issue.code === 'unrecognized_keys') return `unknown key ${issue.keys.map((key) => `"${key}"`).join(', ')}`;
  return issue.message.replace('Invalid input: ', '');
}

function ruleName(script: unknown, path: readonly PropertyKey[]): string | undefined {
  if (path[0] !== 'rules' || typeof path[1] !== 'number') return undefined;
  const name: unknown = (script as { rules?: { name?: unknown }[] }).rules?.[path[1]]?.name;
  return typeof name === 'string' ? name : undefined;
}
