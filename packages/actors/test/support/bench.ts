import { launchServer, type OpencodeServer, type ServerConfig } from '@opencode-manager/core';
import { EventMonitor } from '@opencode-manager/events';
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
  /** One for all pools of a file: a connection of its own costs each test half a second. */
  readonly monitor: EventMonitor;
}

/** Twice the default: others may work on the machine too. */
const startupTimeoutMs = 60_000;

/** A scripted model, a git repository, and a real server that uses both. */
export async function startBench(
  rules: Script['rules'],
  config: Omit<ServerConfig, 'opencodeConfig'> & {
    opencodeConfig?: { readonly provider?: object; readonly [field: string]: unknown };
  } = {},
  script: Omit<Script, 'rules'> = {},
): Promise<Bench> {
  await using stack = new AsyncDisposableStack();
  const model = stack.use(await startScriptedModel({ ...script, rules }));
  const workspace = stack.use(await temporaryWorkspace({ files: { 'readme.txt': 'first\n' } }));
  const { opencodeConfig, ...rest } = config;
  const scripted = model.opencodeConfig();
  const provider = { ...scripted.provider, ...opencodeConfig?.provider };
  const server = stack.use(
    await launchServer({
      directory: workspace.path,
      opencodeConfig: { ...scripted, ...opencodeConfig, provider },
      startupTimeoutMs,
      ...rest,
    }),
  );
  const monitor = stack.use(EventMonitor.open(server));
  await monitor.ready();
  const owned = stack.move();
  return { model, workspace, server, monitor, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
