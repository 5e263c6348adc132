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

/** Twice the default: others may work on the machine too. */
const startupTimeoutMs = 60_000;

/** A scripted model, a git repository, and a real server that uses both. */
export async function startBench(
  rules: Script['rules'],
  config: ServerConfig = {},
  files: Record<string, string> = { 'readme.txt': 'first\n' },
): Promise<Bench> {
  await using stack = new AsyncDisposableStack();
  const model = stack.use(await startScriptedModel({ rules: rules ?? [] }));
  const workspace = stack.use(await temporaryWorkspace({ files }));
  const { opencodeConfig, ...rest } = config;
  const server = stack.use(
    await launchServer({
      directory: workspace.path,
      opencodeConfig: { ...model.opencodeConfig(), ...(opencodeConfig as object | undefined) },
      startupTimeoutMs,
      ...rest,
    }),
  );
  const owned = stack.move();
  return { model, workspace, server, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
