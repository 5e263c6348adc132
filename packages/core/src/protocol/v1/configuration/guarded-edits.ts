import type { OpencodeConfig } from '../../../config/jsonc.ts';
import type { PermissionRule, PermissionRuleset } from '../../sessions.ts';

/** One permission rule as opencode evaluates it: the last that matches decides. */
interface Rule {
  readonly permission: string;
  readonly pattern: string;
  readonly action: string;
}

/** What an edit tool is asked for below `.opencode`; paths count from the repository's root. */
const denials = { '.opencode/*': 'deny', '*/.opencode/*': 'deny' } as const;

/**
 * Denies the edit tools everything below `.opencode`, from where opencode loads code: for the configuration's own permissions, and
 * for each agent's that allow edits again. A configuration that speaks of `.opencode` there itself is left as it is.
 */
export function withGuardedEdits(config: OpencodeConfig): OpencodeConfig {
  const result: Record<string, unknown> = { ...config, permission: guarded(config['permission'], config['tools'], true) };
  for (const section of ['agent', 'mode']) {
    const entries = config[section];
    if (isMap(entries)) result[section] = Object.fromEntries(Object.entries(entries).map(([name, entry]) => [name, withGuard(entry)]));
  }
  return result;
}

/** The same for the rules of one session, which count after those of the configuration. */
export function withGuardedRules(rules: PermissionRuleset): PermissionRuleset {
  const added = Object.entries(denials).map(([pattern, action]): PermissionRule => ({ permission: 'edit', pattern, action }));
  return decidesOtherwise(rules) ? [...rules, ...added] : [...rules];
}

/** Whether the rules for all agents say anything of edits. */
export function decidesEdits({ permission, tools }: OpencodeConfig): boolean {
  return rulesOf(typeof permission === 'string' ? permission : { ...permissionsOf(tools), ...(permission as object | undefined) }).some(
    (rule) => matches(rule.permission),
  );
}

function withGuard(agent: unknown): unknown {
  if (!isMap(agent)) return agent;
  const permission = guarded(agent['permission'], agent['tools'], false);
  return permission === agent['permission'] ? agent : { ...agent, permission };
}

function guarded(permission: unknown, tools: unknown, always: boolean): unknown {
  if (permission !== undefined && typeof permission !== 'string' && !isMap(permission)) return permission;
  const own = typeof permission === 'string' ? { '*': permission } : (permission ?? {});
  const all: Record<string, unknown> = { ...permissionsOf(tools), ...own };
  const rules = rulesOf(all);
  const unmentioned = rules.every((rule) => !matches(rule.permission));
  if (unmentioned ? !always : !decidesOtherwise(rules)) return permission;
  const last = Object.keys(all).findLast(matches);
  // Rules count in the order of their keys: those after `edit` would win over what stands in it.
  if ('edit' in all && last !== 'edit') return { ...own, 'edit*': denials };
  const edit = all['edit'];
  return { ...own, edit: { ...(typeof edit === 'string' ? { '*': edit } : (edit as object | undefined)), ...denials } };
}

/** The older way to allow and deny tools, as opencode puts it before the permissions: what they say of edits replaces it. */
function permissionsOf(tools: unknown): Record<string, unknown> {
  if (!isMap(tools)) return {};
  const name = (tool: string) => (['write', 'edit', 'patch'].includes(tool) ? 'edit' : tool);
  return Object.fromEntries(Object.entries(tools).map(([tool, enabled]) => [name(tool), enabled === true ? 'allow' : 'deny']));
}

/** Whether edits are decided at all, by rules that neither speak of `.opencode` nor deny everything anyway. */
function decidesOtherwise(rules: readonly Rule[]): boolean {
  const edits = rules.filter(({ permission }) => matches(permission));
  const last = edits.at(-1);
  if (!last || edits.some(({ pattern }) => pattern.includes('.opencode'))) return false;
  return !(last.pattern === '*' && last.action === 'deny');
}

function rulesOf(permission: unknown): Rule[] {
  if (typeof permission === 'string') return [{ permission: '*', pattern: '*', action: permission }];
  if (!isMap(permission)) return [];
  return Object.entries(permission).flatMap(([name, value]) => {
    const patterns = isMap(value) ? Object.entries(value) : [['*', value] as const];
    return patterns.map(([pattern, action]) => ({ permission: name, pattern, action: String(action) }));
  });
}

/** Whether the name of a rule, which may be a pattern, means the edit tools. */
function matches(name: string): boolean {
  const pattern = name
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${pattern}$`).test('edit');
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
