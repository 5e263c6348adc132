import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { OpencodeManagerError } from '../errors/index.ts';

const entrySchema = z.looseObject({ type: z.string() });
const authSchema = z.record(z.string(), entrySchema);

/**
 * Reads a user's auth.json for the copy in the state. OAuth entries hold refresh tokens that rotate: the first refresh
 * of a copy logs the original out, so they are refused unless that is wished.
 * @throws `AUTH_FILE_INVALID`, `AUTH_OAUTH_REFUSED`; neither repeats anything of the file but provider names
 */
export async function readAuthFile(path: string | undefined, allowOAuth: boolean): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new OpencodeManagerError(
      'AUTH_FILE_INVALID',
      `authFile: ${path} cannot be read (${(error as NodeJS.ErrnoException).code}). Name an auth.json as opencode writes it.`,
      {
        details: { path },
      },
    );
  });
  const entries = parseEntries(text, path);
  const oauth = Object.keys(entries).filter((provider) => entries[provider]?.type === 'oauth');
  if (oauth.length > 0 && !allowOAuth) {
    throw new OpencodeManagerError(
      'AUTH_OAUTH_REFUSED',
      `authFile: ${path} holds OAuth credentials for ${oauth.join(', ')}. Their refresh tokens rotate, so a copy would log the original out. Use API keys, or set allowOAuth when this copy may become the only one in use.`,
      { details: { path, providers: oauth } },
    );
  }
  return text;
}

function parseEntries(text: string, path: string): z.output<typeof authSchema> {
  try {
    return authSchema.parse(JSON.parse(text));
  } catch {
    // The cause would repeat pieces of the file, and the file holds keys.
    throw new OpencodeManagerError(
      'AUTH_FILE_INVALID',
      `authFile: ${path} is not a JSON map of provider names to credentials. Name an auth.json as opencode writes it.`,
      {
        details: { path },
      },
    );
  }
}

/** The API keys of an auth file that was read, by provider. */
export function apiKeysIn(text: string | undefined): Readonly<Record<string, string>> {
  if (text === undefined) return {};
  const entries = Object.entries(JSON.parse(text) as Record<string, { readonly type?: string; readonly key?: unknown }>);
  return Object.fromEntries(
    entries.flatMap(([provider, { type, key }]) => (type === 'api' && typeof key === 'string' ? [[provider, key]] : [])),
  );
}
