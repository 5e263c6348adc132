import type { CallOptions, HttpClient } from '../../http/index.ts';
import type { SessionInfo } from '../sessions.ts';
import { requests } from './requests.ts';
import { decodeSession } from './shapes.ts';

/** Sessions that are read at once. */
const sessionsAPage = 5000;

/** All pages of a list. */
export async function allSessions(
  client: HttpClient,
  query: { readonly directory?: string; readonly project?: string; readonly parentID?: string },
  options?: CallOptions,
): Promise<SessionInfo[]> {
  const all: SessionInfo[] = [];
  for (let cursor: string | undefined; ;) {
    const page = await client.call(requests.sessions({ ...query, limit: sessionsAPage, ...(cursor !== undefined && { cursor }) }), options);
    all.push(...page.data.map(decodeSession));
    cursor = page.cursor?.next ?? undefined;
    if (cursor === undefined || page.data.length < sessionsAPage) return all;
  }
}
