import { randomBytes, randomUUID } from 'node:crypto';
import { effectiveConfig, resolveConfig, type EffectiveConfig, type ResolvedConfig, type ServerConfig } from '../config/index.ts';
import { OpencodeManagerError } from '../errors/index.ts';
import { createHttpClient, type HttpClient, type ServerCredentials } from '../http/index.ts';
import {
  copyConfigDirectory,
  lockStateDirectory,
  prepareStateDirectory,
  readAuthFile,
  refuseUntrustedWorkspace,
  secretsOf,
  serverEnvironment,
  writeServerFiles,
  type StateDirectory,
} from '../isolation/index.ts';
import { startGuard } from '../process/guard.ts';
import { registryDirectory, writeRunRecord } from '../process/registry.ts';
import { processStartTime } from '../process/table.ts';
import { findBinary, type BinaryInfo } from './binary.ts';
import { confirmConfiguration } from './confirm.ts';
import { exitAwareClient } from './exit-aware-client.ts';
import { createOpencodeServer } from './opencode-server.ts';
import { assertPortFree, freePort, portInUse } from './port.ts';
import { spawnServer, type ServerProcess } from './server-process.ts';
import { stopRun, type RunResources } from './stop.ts';
import type { OpencodeServer } from './types.ts';

/** A port that we picked can be taken before the server binds it; so many ports are tried. */
const portAttempts = 4;

/**
 * Starts one fully isolated opencode server and resolves when it answers with its own configuration.
 *
 * Nothing of the user's home, XDG directories or own opencode is read or written; see docs/isolation.md. The server, its
 * tools and its temporary state end with this process, however it ends.
 *
 * @throws OpencodeManagerError before anything is started: `CONFIG_INVALID`, `CONFIG_KEY_UNKNOWN`, `DIRECTORY_MISSING`,
 * `WORKSPACE_UNTRUSTED`, `BINARY_NOT_FOUND`, `BINARY_UNUSABLE`, `VERSION_UNSUPPORTED`, `OPENCODE_CONFIG_INVALID`,
 * `AUTH_FILE_INVALID`, `AUTH_OAUTH_REFUSED`, `STATE_DIRECTORY_UNSAFE`, `STATE_DIRECTORY_LOCKED`,
 * `STATE_DIRECTORY_UNWRITABLE`, `PORT_IN_USE`, `PLATFORM_UNSUPPORTED`; after: `SERVER_START_FAILED`,
 * `SERVER_START_TIMEOUT`, `OPENCODE_CONFIG_INVALID`, `OPENCODE_CONFIG_MISMATCH`, `VERSION_UNSUPPORTED`. What was started
 * is gone when it throws.
 *
 * @example
 * await using server = await launchServer({ directory: '.', opencodeConfig: './opencode.json', passEnv: ['ANTHROPIC_API_KEY'] })
 * @public
 */
export async function launchServer(config: ServerConfig = {}): Promise<OpencodeServer> {
  refuseUnsupportedPlatform();
  const resolved = await resolveConfig(config);
  resolved.signal?.throwIfAborted();
  if (resolved.projectConfig !== 'all') await refuseUntrustedWorkspace(resolved.directory);
  const binary = await findBinary(resolved.binary === undefined ? {} : { binary: resolved.binary });
  const auth = await readAuthFile(resolved.authFile, resolved.allowOAuth ?? false);
  if (resolved.port !== 0) await assertPortFree(resolved.hostname, resolved.port);
  const state = await prepareStateDirectory(resolved);
  const run = await beginRun(state);
  try {
    return await startInside(run, resolved, binary, auth);
  } catch (error) {
    await run.end();
    throw error;
  }
}

/** The resources of a run, growing while it starts; `end()` lets go of what there is. */
interface Run {
  resources: RunResources;
  end(): Promise<void>;
}

async function beginRun(state: StateDirectory): Promise<Run> {
  const runId = randomUUID();
  const lock = await lockStateDirectory(state.layout.lockFile, runId);
  const registry = registryDirectory();
  const guard = startGuard({
    runId,
    ...(state.temporary && { temporaryState: state.layout.root }),
    files: [state.layout.lockFile, `${registry}/${runId}.json`],
    registry,
  });
  const run: Run = {
    resources: { runId, state, lock, guard },
    end: () => stopRun(run.resources).then(() => undefined),
  };
  return run;
}

async function startInside(run: Run, config: ResolvedConfig, binary: BinaryInfo, auth: string | undefined): Promise<OpencodeServer> {
  const { runId, state } = run.resources;
  const deadlineAtMs = Date.now() + config.startupTimeoutMs;
  const copied = await copyConfigDirectory(config.opencodeConfigDir, state.layout);
  const effective = await effectiveConfig(config, runId, copied.config, copied.models);
  await writeServerFiles(state.layout, effective.config, auth, config.directory);
  const login = { username: 'opencode-manager', password: randomBytes(32).toString('base64url') };
  const environment = await serverEnvironment({
    config,
    layout: state.layout,
    runId,
    ...login,
    referencedVariables: effective.referencedVariables,
  });

  const { server, url } = await spawnUntilReady(run, config, binary, environment, deadlineAtMs);
  const credentials: ServerCredentials = {
    url,
    ...login,
    authorization: `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`,
  };
  const client = createHttpClient(credentials);
  run.resources = { ...run.resources, client };
  const version = await confirm({ client, config, effective, binary, server, deadlineAtMs });
  await registerRun(run.resources, { url, version, directory: config.directory, serverPid: server.pid });
  return createOpencodeServer({
    run: run.resources,
    config,
    effective,
    credentials,
    client: exitAwareClient(client, server),
    process: server,
    version,
  });
}

async function spawnUntilReady(
  run: Run,
  config: ResolvedConfig,
  binary: BinaryInfo,
  environment: Readonly<Record<string, string>>,
  deadlineAtMs: number,
): Promise<{ server: ServerProcess; url: string }> {
  const { hostname, directory } = config;
  for (let attempt = 1; ; attempt += 1) {
    const port = config.port === 0 ? await freePort(hostname) : config.port;
    const server = spawnServer({ binary: binary.path, hostname, port, directory, environment, secrets: secretsOf(environment) });
    run.resources = { ...run.resources, server: { process: server, hostname, port } };
    try {
      return { server, url: await server.ready(Math.max(1, deadlineAtMs - Date.now()), config.signal) };
    } catch (error) {
      // opencode says no more than `ServeError` when its port is taken.
      if (!server.output().includes('ServeError')) throw error;
      if (config.port !== 0) throw portInUse(port);
      if (attempt === portAttempts) throw error;
    }
  }
}

interface Confirmation {
  readonly client: HttpClient;
  readonly config: ResolvedConfig;
  readonly effective: EffectiveConfig;
  readonly binary: BinaryInfo;
  readonly server: ServerProcess;
  readonly deadlineAtMs: number;
}

async function confirm({ client, config, effective, binary, server, deadlineAtMs }: Confirmation): Promise<string> {
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
      directory: config.directory,
      effective,
      expectedVersion: binary.version,
      deadlineAtMs,
      output: () => server.output(),
      ...(config.signal && { signal: config.signal }),
    }),
    died,
  ]);
}

async function registerRun(
  run: RunResources,
  server: { url: string; version: string; directory: string; serverPid: number },
): Promise<void> {
  await writeRunRecord({
    runId: run.runId,
    managerPid: process.pid,
    managerStartTime: (await processStartTime(process.pid)) ?? '',
    serverStartTime: (await processStartTime(server.serverPid)) ?? '',
    ...server,
    stateDir: run.state.layout.root,
    temporaryState: run.state.temporary,
    startedAt: new Date().toISOString(),
  });
}

function refuseUnsupportedPlatform(): void {
  if (process.platform === 'linux' || process.platform === 'darwin') return;
  throw new OpencodeManagerError(
    'PLATFORM_UNSUPPORTED',
    `opencode-manager does not run on ${process.platform}. Use Linux or macOS (on Windows: WSL 2).`,
    {
      details: { platform: process.platform },
    },
  );
}
