import { decodeHistoryEntry, requests, type ServerEvent, type WireHistoryEntry } from '@opencode-manager/core/protocol';
import { Agent } from 'undici';

/** A history of many sessions takes the server tens of milliseconds; this is for one that is held up. */
const deadlineMs = 30_000;

export interface HistoryOptions {
  readonly url: string;
  readonly authorization: string;
  readonly signal: AbortSignal;
}

/**
 * Reads the stored events after the given sequence of each session. The connection is its own and goes with the call:
 * opencode does not always answer a large request on one that was kept alive.
 *
 * @throws Error when the answer is not a history.
 */
export async function readHistory(after: ReadonlyMap<string, number>, options: HistoryOptions): Promise<ServerEvent[]> {
  const { method, path, body } = requests.history(Object.fromEntries(after));
  const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
  try {
    const answer = await agent.request({
      origin: options.url,
      method,
      path,
      headers: { authorization: options.authorization, accept: 'application/json', 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.any([options.signal, AbortSignal.timeout(deadlineMs)]),
    });
    const text = await answer.body.text();
    if (answer.statusCode !== 200) throw new Error(`the server answered ${answer.statusCode} to the request for its history`);
    return (JSON.parse(text) as WireHistoryEntry[]).map(decodeHistoryEntry);
  } finally {
    await agent.destroy().catch(() => undefined);
  }
}
