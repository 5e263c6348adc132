import { StringDecoder } from 'node:string_decoder';
import type { RequestSpec } from '../protocol/request.ts';
import type { ServerCredentials } from './client.ts';
import { createAgent, startExchange } from './exchange.ts';

/**
 * Reads an event stream for a moment, on a connection of its own, until `stop()`. For moments alone: whoever follows a server has a parser that
 * keeps up with it.
 */
export function readEventRecords(
  { url, authorization }: Pick<ServerCredentials, 'url' | 'authorization'>,
  { method, path }: RequestSpec<never>,
  onRecord: (data: string) => void,
): { stop(): Promise<void> } {
  const agent = createAgent();
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const exchange = startExchange(
    agent,
    { origin: url, path, method, headers: { authorization, accept: 'text/event-stream' }, body: null },
    {
      onHead: () => undefined,
      onBytes(bytes) {
        const lines = (rest + decoder.write(bytes)).split('\n');
        rest = lines.pop()!;
        for (const line of lines) if (line.startsWith('data:')) onRecord(line.slice(5).trim());
      },
    },
  );
  exchange.over.catch(() => undefined);
  return {
    async stop() {
      exchange.abort(new Error('nothing more is to be heard'));
      await agent.destroy();
    },
  };
}
