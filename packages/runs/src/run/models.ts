import { assertOffered, type SessionPool } from '@opencode-manager/actors';
import { OpencodeManagerError, toManagerError } from '@opencode-manager/core/errors';
import { chosenFor } from '@opencode-manager/core/protocol';
import type { RunSettings } from '../machine/index.ts';
import type { RunTaskSpec } from './types.ts';

/** `provider/model` of each task, by its key: its own, that of the pool, or what the configuration chooses for it. Absent where nothing is known. */
export async function modelsOf(
  tasks: ReadonlyMap<string, RunTaskSpec>,
  { server }: Pick<SessionPool, 'server'>,
  defaults: { readonly model?: string | undefined; readonly agent?: string | undefined },
): Promise<Readonly<Record<string, string>>> {
  const asking = [...tasks].filter(([, { shell }]) => shell === undefined);
  const isWhole = asking.every(([, { model = defaults.model }]) => model !== undefined);
  // What cannot be had now is not needed to begin: such tasks have no gate of their own.
  const catalogue = isWhole ? undefined : await server.catalogue(server.directory).catch(() => undefined);
  return Object.fromEntries(
    asking.flatMap(([key, { model = defaults.model, agent = defaults.agent, command }]) => {
      const name = command?.trim().replace(/^\//, '').split(/\s/)[0];
      const known = model ?? (catalogue && (chosenFor(catalogue.choices, { agent, command: name }).model?.value ?? catalogue.defaultModel));
      return known === undefined ? [] : [[key, known] as const];
    }),
  );
}

/** Refuses a fallback that names no model, before anything is made. @throws `CONFIG_INVALID` */
export function refuseNamelessFallback({ onQuota = 'wait' }: Partial<RunSettings>): void {
  if (onQuota === 'wait' || onQuota === 'fail') return;
  const fallback: unknown = (onQuota as { readonly fallback?: unknown } | null)?.fallback;
  if (typeof fallback === 'string' && /^[^/]+\/./.test(fallback)) return;
  const message = `settings.onQuota: ${JSON.stringify(onQuota)} is not 'wait', 'fail' or { fallback: 'provider/model' }. Nothing was started.`;
  throw new OpencodeManagerError('CONFIG_INVALID', message, { details: { field: 'settings.onQuota' } });
}

/** Refuses a fallback that the server does not offer, before anything is sent. @throws `MODEL_UNKNOWN` */
export async function refuseUnknownFallback(
  { server }: Pick<SessionPool, 'server'>,
  { onQuota = 'wait' }: Partial<RunSettings>,
): Promise<void> {
  if (typeof onQuota === 'string') return;
  const catalogue = await server.catalogue(server.directory, { withoutCommands: true });
  try {
    assertOffered(catalogue, { kind: 'prompt', model: onQuota.fallback });
  } catch (error) {
    const { code, message, details } = toManagerError(error);
    throw new OpencodeManagerError(code, `onQuota: the fallback cannot be used. ${message}`, { details });
  }
}
