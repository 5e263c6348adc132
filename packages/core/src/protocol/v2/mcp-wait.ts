import type { HttpClient } from '../../http/index.ts';
import { readMcpServers } from './catalogue.ts';

/** How long a session waits before its first turn, and the submission of a turn, which has a deadline, after a restart. opencode gives a server 30 s to start. */
export const mcpWaitMs = { session: 40_000, turn: 15_000 } as const;

/** opencode offers the tools of a server 100 ms after it has come up, when no other has meanwhile; it does not tell when. In milliseconds. */
const offeredAfterMs = 300;

/** Waits until the MCP servers of a directory have come up or have not, no longer than given and no longer than the signal wants. */
export type McpWait = (directory: string, longestMs: number, signal?: AbortSignal) => Promise<void>;

/**
 * opencode 2 asks the model while MCP servers are starting, and offers it nothing of theirs; opencode 1 waits for them. Each directory has its own, which
 * start at its first use: they are waited for once.
 */
export function createMcpWait(client: HttpClient): McpWait {
  const settled = new Map<string, Promise<unknown>>();

  function settle(directory: string): Promise<unknown> {
    // What the server cannot answer now, the request behind this one tells.
    const read = readMcpServers(client, directory, { timeoutMs: mcpWaitMs.session })
      .then((servers) => passed(Object.keys(servers).length > 0 ? offeredAfterMs : 0))
      .catch(() => settled.delete(directory));
    settled.set(directory, read);
    return read;
  }

  return async (directory, longestMs, signal) => {
    const over = new AbortController();
    const ends = signal ? AbortSignal.any([over.signal, signal]) : over.signal;
    const longest = passed(longestMs, ends);
    await Promise.race([settled.get(directory) ?? settle(directory), longest]);
    over.abort();
  };
}

/** A time has passed, or is over early. It needs nothing of Node: who reads records loads this file too. */
function passed(ms: number, over?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(end, ms);
    function end() {
      clearTimeout(timer);
      resolve();
    }
    over?.addEventListener('abort', end, { once: true });
    if (over?.aborted) end();
  });
}
