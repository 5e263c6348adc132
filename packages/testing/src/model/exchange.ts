import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * One answer under way. Everything that waits ends with an `AbortError` as soon as the client is gone or the server
 * closes, so a script that hangs holds nothing.
 */
export interface Exchange {
  readonly signal: AbortSignal;
  head(status: number, headers: Readonly<Record<string, string>>): void;
  /** Resolves when the socket takes more; a slow reader slows the script down instead of filling memory. */
  write(text: string): Promise<void>;
  end(text?: string): Promise<void>;
  /** Breaks the connection after what was written has left. */
  cut(): void;
  pause(milliseconds: number): Promise<void>;
  /** Waits for the client to give up. */
  hang(): Promise<never>;
}

export function openExchange(response: ServerResponse, signal: AbortSignal): Exchange {
  return {
    signal,
    head: (status, headers) => {
      response.writeHead(status, headers);
      response.flushHeaders();
    },
    write: async (text) => {
      signal.throwIfAborted();
      if (!response.write(text)) await once(response, 'drain', { signal });
    },
    end: async (text = '') => {
      signal.throwIfAborted();
      // The callback of `end()` is called for a client that leaves meanwhile, too, and never when the connection is lost already.
      const finished = once(response, 'finish', { signal });
      response.end(text);
      await finished;
    },
    cut: () => {
      // An empty write is called back after those before it.
      if (response.headersSent) response.write('', () => response.destroy());
      else response.destroy();
    },
    pause: (milliseconds) => sleep(milliseconds, undefined, { signal }),
    hang: async () => {
      await once(signal, 'abort');
      throw signal.reason;
    },
  };
}
