import type { PermissionRule } from '../sessions.ts';

/** A rule of opencode 2: of those that match, the last decides. */
export interface WireRule {
  readonly action: string;
  readonly resource: string;
  readonly effect: 'allow' | 'deny' | 'ask';
}

/** Permissions have the names of opencode 1 in policies and rules; these are called otherwise in opencode 2. */
const actionOf: Readonly<Record<string, string>> = { bash: 'shell', task: 'subagent', write: 'edit', patch: 'edit', multiedit: 'edit' };
const permissionOf: Readonly<Record<string, string>> = { shell: 'bash', subagent: 'task' };

/** Our name of what opencode 2 asks for. */
export function permissionNamed(action: string): string {
  return permissionOf[action] ?? action;
}

/** A rule in the words of opencode 2. */
export function wireRule({ permission, pattern, action }: PermissionRule): WireRule {
  return { action: actionOf[permission] ?? permission, resource: pattern, effect: action };
}
