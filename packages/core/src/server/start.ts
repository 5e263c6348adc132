import { randomBytes, randomUUID } from 'node:crypto';
import { readGivenConfig, type ResolvedConfig } from '../config/index.ts';
import { OpencodeManagerError } from '../errors/index.ts';
import { createHttpClient, type HttpClient, type ServerCredentials } from '../http/index.ts';
import {
  apiKeysIn,
  copyConfigDirectory,
  handedOver,
  makeDirectories,
  neededPackages,
  refuseOffline,
  serverEnvironment,
  toolEnvironment,
  toolPath,
  userGitFiles,
  withToolEnvironment,
  writeServerFiles,
} from '../isolation/index.ts';
import { protocolNamed, type EffectiveConfig, type Protocol } from '../protocol/index.ts';
import { learnConfig, learnLogin, learnSubstitutions, learnVariables } from '../secrets/index.ts';
import type { BinaryInfo } from './binary.ts';
import { confirmConfiguration, type Confirmed } from './confirm.ts';
import { exitAwareClient } from './exit-aware-client.ts';
import { hasToInstall, meetDirectory } from './meet-directory.ts';
import { createOpencodeServer, type Lifecycle } from './opencode-server.ts';
import { freePort, portInUse } from './port.ts';
import type { LaunchPlan, PreparedFiles } from './launch-plan.ts';
import type { Incarnation, Run } from './run-state.ts';
import { registerRun } from './run.ts';
import { spawnServer, startAborted, type ServerProcess } from './server-process.ts';
import { clearIncarnation } from './stop.ts';
import type { OpencodeServer } from './types.ts';

/** A port that we picked can be taken before the server binds it; so many ports are tried. */
const portAttempts = 4;

/** Deadline of a start that names none, in milliseconds: of an ordinary one, and of one that installs packages. */
const startupMs = { plain: 30_000, installing: 120_000 } as const;

/** What the handle of an incarnation can do to it and to its run. */
export type LifecycleOf = (run: Run, plan: LaunchPlan, prepared: PreparedFiles, incarnation: Incarnation) => Lifecycle;

/** Makes good what somebody has removed from the state of a run whose server is started again. @throws `STATE_DIRECTORY_LOCKED` */
export async function restoreState({ state, lock }: Run): Promise<void> {
  await makeDirectories(state);
  await lock.retake();
}

/**
 * Writes what the server reads at its start; gives the configuration that it is to run with.
 * @throws `OPENCODE_CONFIG_INVALID`, `DIRECTORY_MISSING`, `CREDENTIALS_MISSING`, `PACKAGE_UNAVAILABLE`
 */
export async function prepareFiles(run: Run, { config, binary, auth, git }: LaunchPlan): Promise<PreparedFiles> {
  const { layout } = run.state;
  const given = await readGivenConfig(config, layout.opencodeConfig);
  learnSubstitutions(config.redactor, given.substitutions);
  const copied = await copyConfigDirectory(config.opencodeConfigDir, layout.opencodeConfig);
  const { process: server, configuration } = protocolNamed(binary.protocol);
  const tools = toolEnvironment(config, layout, server.ownVariables);
  const { profile, projectConfig, enabledProviders } = config;
  const settings = { profile, projectConfig, enabledProviders, runId: run.runId, modelsInFiles: copied.models, apiKeys: apiKeysIn(auth) };
  const known = configuration.effective(settings, given);
  const effective = { ...known, config: withToolEnvironment(known.config, tools), notes: [...known.notes, ...copied.notes] };
  for (const one of [effective.config, effective.directoryConfig]) if (one) learnConfig(config.redactor, one);
  const needed = await neededPackages(effective.inOlderForm, effective.providers, layout.opencodeConfig);
  if (config.offline) await refuseOffline(layout, configuration.packages, needed);
  await writeServerFiles(layout, {
    configuration,
    config: effective.config,
    directoryConfig: effective.directoryConfig,
    auth,
    workspace: config.directory,
    tools,
    git,
    needed,
    path: toolPath(config),
    gitFiles: userGitFiles(),
  });
  return { ...effective, needed };
}

/** Starts one incarnation and gives its handle when it answers with our configuration. What did not come up is gone when it throws. */
export async function startIncarnation(
  run: Run,
  plan: LaunchPlan,
  prepared: PreparedFiles,
  lifecycleOf: LifecycleOf,
  signal = plan.config.signal,
): Promise<OpencodeServer> {
  const config = { ...plan.config, ...(signal && { signal }) };
  const protocol = protocolNamed(plan.binary.protocol);
  const installs = await hasToInstall(run, protocol, prepared);
  const deadlineAtMs = Date.now() + (config.startupTimeoutMs ?? startupMs[installs ? 'installing' : 'plain']);
  const login = { username: protocol.process.username, password: randomBytes(32).toString('base64url') };
  learnLogin(config.redactor, login);
  const { incarnation, url } = await spawnUntilReady(run, { ...plan, config }, prepared, login, deadlineAtMs);
  try {
    const credentials = credentialsOf(url, login);
    const client = createHttpClient(credentials, { redactor: config.redactor, readError: protocol.readError });
    incarnation.client = client;
    const { process: server } = incarnation;
    const { configFile, directoryConfigFile } = run.state.layout;
    const configFiles = [configFile, directoryConfigFile];
    const confirmation = {
      client,
      protocol,
      config,
      configFiles,
      effective: prepared,
      binary: plan.binary,
      server,
      deadlineAtMs,
      installs,
    };
    const met = await meetDirectory(
      { run, plan, prepared, protocol, client, credentials, output: () => server.output(), deadlineAtMs },
      () => confirm(confirmation),
    );
    const { confirmed, launch, parts } = met;
    const { version } = confirmed;
    await registerRun(run, { url, version, directory: config.directory, serverPid: server.pid });
    run.newest = incarnation;
    return createOpencodeServer({
      runId: run.runId,
      stateDir: run.state.layout.root,
      lifecycle: lifecycleOf(run, plan, prepared, incarnation),
      config: plan.config,
      effective: { ...prepared, notes: [...prepared.notes, ...confirmed.notes] },
      launch,
      parts,
      workspaces: plan.workspaces,
      credentials,
      client: exitAwareClient(client, server, run.state.layout.root),
      process: server,
      version,
      protocol,
    });
  } catch (error) {
    await clearIncarnation(run, incarnation);
    throw error;
  }
}

interface Login {
  readonly username: string;
  readonly password: string;
}

function credentialsOf(url: string, login: Login): ServerCredentials {
  return { url, ...login, authorization: `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}` };
}

async function spawnUntilReady(
  run: Run,
  { config, binary }: LaunchPlan,
  { providers, referencedVariables }: EffectiveConfig,
  login: Login,
  deadlineAtMs: number,
): Promise<{ incarnation: Incarnation; url: string }> {
  const { hostname, directory } = config;
  const { runId, state } = run;
  const protocol = protocolNamed(binary.protocol);
  const serverId = randomUUID();
  // A trusted project's configuration may enable providers that are not known here.
  const modelCatalogue = config.projectConfig === 'all' || protocol.configuration.needsModelCatalogue(providers, binary.version);
  const named = { protocol, runId, serverId, ...login, referencedVariables, modelCatalogue };
  const choosePort = () => (config.port === 0 ? freePort(hostname) : Promise.resolve(config.port));
  let [environment, port] = await Promise.all([serverEnvironment({ config, layout: state.layout, ...named }), choosePort()]);
  learnVariables(config.redactor, environment, handedOver({ config, referencedVariables }));
  for (let attempt = 1; ; attempt += 1) {
    const server = spawnServer({
      protocol: protocol.process,
      binary: binary.path,
      hostname,
      port,
      directory,
      environment,
      redactor: config.redactor,
    });
    const incarnation: Incarnation = { serverId, protocol, process: server, hostname, port, client: undefined, retiring: undefined };
    run.incarnations.add(incarnation);
    try {
      return { incarnation, url: await server.ready(Math.max(1, deadlineAtMs - Date.now()), config.signal) };
    } catch (error) {
      await clearIncarnation(run, incarnation);
      if (!server.output().includes(protocol.process.portTaken)) throw error;
      if (config.port !== 0) throw portInUse(port);
      if (attempt === portAttempts) throw error;
      port = await choosePort();
    }
  }
}

interface Confirmation {
  readonly client: HttpClient;
  readonly protocol: Protocol;
  readonly config: ResolvedConfig;
  readonly configFiles: readonly string[];
  readonly effective: EffectiveConfig;
  readonly binary: BinaryInfo;
  readonly server: ServerProcess;
  readonly deadlineAtMs: number;
  readonly installs: boolean;
}

async function confirm({
  client,
  protocol,
  config,
  configFiles,
  effective,
  binary,
  server,
  deadlineAtMs,
  installs,
}: Confirmation): Promise<Confirmed> {
  const died = server.exited.then(() => {
    throw new OpencodeManagerError('SERVER_START_FAILED', 'Phase configuration: the server ended while its configuration was read back.', {
      details: { phase: 'configuration' },
      output: server.output(),
    });
  });
  died.catch(() => undefined);
  return Promise.race([
    confirmConfiguration({
      client,
      protocol,
      directory: config.directory,
      configFiles,
      effective,
      expectedVersion: binary.version,
      deadlineAtMs,
      installs,
      output: () => server.output(),
      redactor: config.redactor,
      ...(config.signal && { signal: config.signal }),
    }),
    died,
  ]);
}

/** @throws `REQUEST_ABORTED` */
export function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw startAborted();
}
