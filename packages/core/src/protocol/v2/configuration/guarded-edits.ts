import type { OpencodeConfig } from '../../../config/jsonc.ts';
import type { WireRule } from '../names.ts';

/** What an edit tool is asked for below `.opencode`, from where opencode loads code; paths count from the repository's root. */
const denials: readonly WireRule[] = ['.opencode/*', '*/.opencode/*'].map((resource) => ({ action: 'edit', resource, effect: 'deny' }));

/** Denies the edit tools everything below `.opencode` where permissions stand in the form of opencode 2; those in the older form are guarded as there. */
export function withGuardedEdits(config: OpencodeConfig): OpencodeConfig {
  const { permissions, agents } = config;
  return {
    ...config,
    ...(Array.isArray(permissions) && { permissions: guarded(permissions) }),
    ...(isMap(agents) && { agents: Object.fromEntries(Object.entries(agents).map(([name, agent]) => [name, withGuard(agent)])) }),
  };
}

function withGuard(agent: unknown): unknown {
  if (!isMap(agent) || !Array.isArray(agent['permissions'])) return agent;
  return { ...agent, permissions: guarded(agent['permissions']) };
}

/** Rules that speak of `.opencode` themselves, or of no edits, are left as they are. Those that deny all edits are too: the tools would be offered again. */
function guarded(rules: readonly Partial<WireRule>[]): readonly Partial<WireRule>[] {
  const edits = editRules(rules);
  const last = edits.at(-1);
  const isLeft =
    !last || (last.resource === '*' && last.effect === 'deny') || edits.some(({ resource }) => resource?.includes('.opencode'));
  return isLeft ? rules : [...rules, ...denials];
}

/** Those of the form of opencode 2 that say something of edits. */
export function editRules(rules: unknown): readonly Partial<WireRule>[] {
  const all = Array.isArray(rules) ? (rules as readonly Partial<WireRule>[]) : [];
  return all.filter(({ action }) => action === 'edit' || action === '*');
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
