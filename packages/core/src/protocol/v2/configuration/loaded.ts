import type { WireDocument } from '../wire.ts';

interface Policy {
  readonly action?: string;
  readonly resource?: string;
  readonly effect?: string;
}

/**
 * What the documents that a server has loaded say together, the last one first, under the names of opencode 1 where we compare it: opencode 2 turns a
 * file of the older form into its own when it reads it.
 */
export function loadedConfiguration(documents: readonly WireDocument[]): Record<string, unknown> {
  const infos = documents.flatMap((one) => (one.type === 'document' ? [one.info] : []));
  const last = (key: string): unknown => infos.findLast((info) => info[key] !== undefined)?.[key];
  const update = last('update');
  const titleModels = infos.map(
    ({ agents }) => (agents as Record<string, { readonly model?: unknown } | undefined> | undefined)?.['title']?.model,
  );
  return {
    username: last('username'),
    model: modelText(last('model')),
    small_model: modelText(titleModels.findLast((model) => model !== undefined)),
    snapshot: last('snapshots'),
    share: last('share'),
    autoupdate: update === 'disable' ? false : update,
    enabled_providers: enabledBy(infos.flatMap(policiesOf)),
    default_agent: last('default_agent'),
  };
}

/** `provider/model`. */
export function modelText(model: unknown): string | undefined {
  if (typeof model === 'string') return model.replace(/#.*$/, '');
  const { providerID, id, model: name } = (model ?? {}) as Record<string, string | undefined>;
  const named = id ?? name;
  return providerID === undefined || named === undefined ? undefined : `${providerID}/${named}`;
}

/** Those that say which providers may be used. */
export function policiesOf(info: Readonly<Record<string, unknown>>): Policy[] {
  const { policies } = (info['experimental'] ?? {}) as { readonly policies?: readonly Policy[] };
  return (policies ?? []).filter(({ action }) => action === 'provider.use');
}

/** Of the policies that match, the last decides: those that follow the newest rule for all providers are all that count. */
export function enabledBy(policies: readonly Policy[]): string[] | undefined {
  const all = policies.findLastIndex(({ resource }) => resource === '*');
  if (all === -1 || policies[all]!.effect !== 'deny') return undefined;
  const enabled = new Set<string>();
  for (const { resource = '', effect } of policies.slice(all + 1)) {
    if (effect === 'allow') enabled.add(resource);
    else enabled.delete(resource);
  }
  return [...enabled];
}
