import * as z from 'zod';
import { OpencodeManagerError, type ErrorCode } from '../errors/index.ts';
import type { PermissionCallback, PermissionPolicy } from './types.ts';

const words = ['deny', 'allow', 'escalate'] as const;
const quoted = words.map((word) => `'${word}'`).join(', ');

const ruleSchema = z.strictObject({
  permission: z.string('must be the name of a permission').min(1, 'is empty'),
  pattern: z.string('must be a text, or left out').optional(),
  action: z.enum(words, { error: `must be one of ${quoted}` }),
  message: z.string('must be a text, or left out').optional(),
});

const rulesSchema = z.array(ruleSchema);

/** What a file can say of permissions; code may give a callback instead. */
export const permissionPolicySchema = z.union([z.enum(words), rulesSchema]);

/** A policy as code passes it in, with the problems of its rules by field; for the schema of what holds one. */
export const permissionPolicyInCode = z.custom<PermissionPolicy>().superRefine((value, context) => {
  const problem = problemOf(value);
  if (problem) context.addIssue({ code: 'custom', path: [...problem.path], message: problem.message });
});

interface Problem {
  readonly path: readonly PropertyKey[];
  /** What is wrong, what was received, what is allowed. */
  readonly message: string;
}

/**
 * Checks a policy as code or a file gives it. `field` names it in the error.
 * @throws `CONFIG_INVALID`, or the code that is given, naming the field, what was received and what is allowed
 *
 * @example
 * parsePermissionPolicy([{ permission: 'bash', action: 'ask' }], 'permissions')
 * // CONFIG_INVALID: permissions.0.action: must be one of 'deny', 'allow', 'escalate'; received "ask".
 */
export function parsePermissionPolicy(value: unknown, field: string, code: ErrorCode = 'CONFIG_INVALID'): PermissionPolicy {
  const problem = problemOf(value);
  if (!problem) return value as PermissionPolicy;
  const place = [field, ...problem.path].join('.');
  throw new OpencodeManagerError(code, `${place}: ${problem.message}.`, { details: { field: place } });
}

function problemOf(value: unknown): Problem | undefined {
  if (isCallback(value) || words.some((word) => word === value)) return undefined;
  if (!Array.isArray(value)) {
    return { path: [], message: `must be ${quoted}, a list of rules or a function; received ${show(value)}` };
  }
  const issue = rulesSchema.safeParse(value).error?.issues[0];
  if (!issue) return undefined;
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(ruleSchema.shape).join(', ');
    return {
      path: [...issue.path, issue.keys[0] ?? ''],
      message: `is no field of a rule; received ${show(at(value, issue.path))}. Fields are ${known}`,
    };
  }
  const isRule = issue.path.length > 1;
  const wanted = isRule ? issue.message : `must be a rule such as { permission: 'bash', pattern: 'npm test', action: 'allow' }`;
  return { path: issue.path, message: `${wanted}; received ${show(at(value, issue.path))}` };
}

const isCallback = (value: unknown): value is PermissionCallback => typeof value === 'function';

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((found, key) => (found as Record<PropertyKey, unknown> | undefined)?.[key], value);
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = typeof value === 'function' ? 'a function' : (JSON.stringify(value) ?? `a ${typeof value}`);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
