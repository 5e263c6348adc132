import type { CallOptions, HttpClient } from '../../http/index.ts';
import { openWork } from './background.ts';
import { messagesAPage, requests } from './requests.ts';
import type { ServerMemory } from './server-memory.ts';
import type { WireMessage } from './wire.ts';

/** All pages, the oldest first. What they tell of work in the background is kept. */
export async function readMessages(
  client: HttpClient,
  memory: Pick<ServerMemory, 'resting'>,
  id: string,
  options?: CallOptions,
): Promise<WireMessage[]> {
  const all: WireMessage[] = [];
  for (let cursor: string | undefined; ;) {
    const query = cursor === undefined ? { limit: messagesAPage, order: 'asc' as const } : { limit: messagesAPage, cursor };
    const page = await client.call(requests.messages(id, query), options);
    all.push(...page.data);
    cursor = page.cursor?.next ?? undefined;
    if (cursor === undefined || page.data.length < messagesAPage) break;
  }
  if (openWork(all).size > 0) memory.resting.add(id);
  else memory.resting.delete(id);
  return all;
}
