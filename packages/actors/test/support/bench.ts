import { launchServer, type OpencodeServer, type ServerConfig } from '@opencode-manager/core';
import {
  startScriptedModel,
  temporaryWorkspace,
  type ScriptedModel,
  type Script,
  type TemporaryWorkspace,
} from '@opencode-manager/testing';

export interface Bench extends AsyncDisposable {
  readonly model: ScriptedModel;
  readonly workspace: TemporaryWorkspace;
  readonly server: OpencodeServer;
}

/** A scripted model, a git repository, and a real server that uses both. */
export async function startBench(
  rules: Script['rules'],
  config: Omit<ServerConfig, 'opencodeConfig'> & { opencodeConfig?: object } = {},
): Promise<Bench> {
  await using stack = new AsyncDisposableStack();
  const model = stack.use(await startScriptedModel({ rules }));
  const workspace = stack.use(await temporaryWorkspace({ files: { 'readme.txt': 'first\n' } }));
  const { opencodeConfig, ...rest } = config;
  const server = stack.use(
    await launchServer({ directory: workspace.path, opencodeConfig: { ...model.opencodeConfig(), ...opencodeConfig }, ...rest }),
  );
  const owned = stack.move();
  return { model, workspace, server, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
