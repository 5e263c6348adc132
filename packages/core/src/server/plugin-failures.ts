import { setTimeout as wait } from 'node:timers/promises';
import type { HttpClient, ServerCredentials } from '../http/index.ts';
import { openOwnStream } from './own-stream.ts';
import type { ProtocolStream } from '../protocol/index.ts';

/** Listens for what opencode says about plugins: only on its stream, when a directory is met, and as errors of no session. */
export interface PluginWatch {
  /** Gives what was said up to now. Call it when the directory was met. */
  hear(client: HttpClient, directory: string): Promise<readonly string[]>;
  /** Ends the listening. */
  stop(): Promise<void>;
}

/** opencode greets before it subscribes. Until it meets a directory, nothing can prove the subscription; that takes longer than this. */
const subscriptionMs = 150;

export async function watchPlugins(credentials: ServerCredentials, protocol: ProtocolStream): Promise<PluginWatch> {
  const said = new Set<string>();
  const stream = await openOwnStream(credentials, protocol, (error, sessionId) => {
    if (sessionId === undefined) said.add(error.message);
  });
  await wait(subscriptionMs);
  return {
    async hear(client, directory) {
      await stream.fence(client, directory);
      return [...said];
    },
    stop: () => stream.stop(),
  };
}
