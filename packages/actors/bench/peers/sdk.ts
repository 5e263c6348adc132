import { createOpencodeClient } from '@opencode-ai/sdk/v2/client';
import { startBareServer } from '@opencode-manager/bench';
import { findBinary } from '@opencode-manager/core';
import { temporaryWorkspace } from '@opencode-manager/testing';

export interface SdkPeer {
  readonly serverPid: number;
  /** Runs one prompt in a session of its own. */
  readonly prompt: () => Promise<void>;
}

export interface SdkPlace {
  readonly directory: string;
  readonly opencodeConfig: object;
  /** Of every session; without one, opencode asks the model for a title, too. */
  readonly title?: string;
}

/** The official SDK on a server of its own, with opencode's defaults beside what the configuration says. */
export async function openSdk(stack: AsyncDisposableStack, { directory, opencodeConfig, title }: SdkPlace): Promise<SdkPeer> {
  const home = stack.use(await temporaryWorkspace({ files: { 'opencode.json': JSON.stringify(opencodeConfig) } }));
  const { path: binary } = await findBinary();
  const server = stack.use(await startBareServer({ binary, directory, home: home.path }));
  const client = createOpencodeClient({ baseUrl: server.url, directory });
  return {
    serverPid: server.pid,
    async prompt() {
      const { data } = await client.session.create(title === undefined ? {} : { title });
      await client.session.prompt({ sessionID: data!.id, parts: [{ type: 'text', text: 'say done' }] });
    },
  };
}
