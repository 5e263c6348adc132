import { duplexPair } from 'node:stream';
import { requests } from '../protocol/v1/requests.ts';
import { send } from './client.ts';
import { createAgent } from './exchange.ts';

const answer = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}';

let warmed: Promise<void> | undefined;

/**
 * Makes one request that never leaves the process, once. With the first answer that it reads, undici compiles its parser and its
 * classes: 15 to 20 ms that a server which has just said that it listens would wait for, and that cost nothing while it loads.
 */
export function warmUpHttp(): Promise<void> {
  // Whatever fails here, the first real request tells it better.
  warmed ??= requestInProcess().catch(() => undefined);
  return warmed;
}

/** Alone, it tells what went wrong. */
export async function requestInProcess(): Promise<void> {
  const [ours, theirs] = duplexPair();
  theirs.once('data', () => theirs.write(answer));
  // undici does not expect its connection before `connect` has returned.
  const agent = createAgent({ connect: (_options, connected) => process.nextTick(connected, null, ours) });
  try {
    await send(agent, { url: 'http://in-process.invalid', authorization: '' }, requests.health(), { timeoutMs: 1000 });
  } finally {
    await agent.destroy();
  }
}
