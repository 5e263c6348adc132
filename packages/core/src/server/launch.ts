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
import { registryDirectory, runSocketPath, writeRunRecord } from '../process/registry.ts';
import { processStartTime, sweepMarkedProcesses } from '../process/table.ts';
import { findBinary, type BinaryInfo } from './binary.ts';
import { confirmConfiguration } from './confirm.ts';
import { exitAwareClient } from './exit-aware-client.ts';
import { createOpencodeServer } from './opencode-server.ts';
import { assertPortFree, freePort, portInUse } from './port.ts';
import { spawnServer, startAborted, type ServerProcess } from './server-process.ts';
import { stillThere, stopRun, type RunResources } from './stop.ts';
import type { OpencodeServer, StopReport } from './types.ts';

/** A port that we picked can be taken before the server binds it; so many ports are tried. */
const portAttempts = 4;

/** Deadline for the end of what an incarnation left running, in milliseconds. */
const relaunchSweepMs = 2000;

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
  refuseAborted(resolved.signal);
  if (resolved.projectConfig !== 'all') await refuseUntrustedWorkspace(resolved.directory);
  const binary = await findBinary(resolved.binary === undefined ? {} : { binary: resolved.binary });
  const auth = await readAuthFile(resolved.authFile, resolved.allowOAuth ?? false);
  if (resolved.port !== 0) await assertPortFree(resolved.hostname, resolved.port);
  const run = await beginRun(await prepareStateDirectory(resolved));
  try {
    return await startInside(run, { config: resolved, binary, auth });
  } catch (error) {
    await run.stop();
    throw error;
  }
}

/** One run: its resources, growing while it starts, and its one end. It may see several incarnations of its server. */
interface Run {
  resources: RunResources;
  /** Ends the run and everything of it, once. */
  stop(): Promise<StopReport>;
  stopping: Promise<StopReport> | undefined;
  /** A relaunch under way; a stop ends it first. */
  relaunching: { readonly signal: AbortController; readonly settled: Promise<unknown> } | undefined;
}

/** What each incarnation of a run's server is started from. */
interface LaunchPlan {
  readonly config: ResolvedConfig;
  readonly binary: BinaryInfo;
  readonly auth: string | undefined;
}

async function beginRun(state: StateDirectory): Promise<Run> {
  const runId = randomUUID();
  const lock = await lockStateDirectory(state.layout.lockFile, runId);
  const registry = registryDirectory();
  const guard = startGuard({
    runId,
    ...(state.temporary && { temporaryState: state.layout.root }),
    files: [state.layout.lockFile, `${registry}/${runId}.json`, runSocketPath(runId)],
    registry,
  });
  const run: Run = {
    resources: { runId, state, lock, guard },
    stopping: undefined,
    relaunching: undefined,
    stop() {
      run.stopping ??= endRelaunch(run).then(() => stopRun(run.resources));
      return run.stopping;
    },
  };
  return run;
}

async function endRelaunch({ relaunching }: Run): Promise<void> {
  relaunching?.signal.abort();
  await relaunching?.settled;
}

async function startInside(run: Run, plan: LaunchPlan): Promise<OpencodeServer> {
  const { config, binary, auth } = plan;
  const { runId, state } = run.resources;
  const deadlineAtMs = Date.now() + config.startupTimeoutMs;
  const copied = await copyConfigDirectory(config.opencodeConfigDir, state.layout);
  const effective = await effectiveConfig(config, runId, copied.config, copied.models);
  await writeServerFiles(state.layout, effective.config, auth, config.directory);
  const login = { username: 'opencode-manager', password: randomBytes(32).toString('base64url') };
  const { referencedVariables } = effective;
  const environment = await serverEnvironment({ config, layout: state.layout, runId, ...login, referencedVariables });

  const { server, url } = await spawnUntilReady(run, config, binary, environment, deadlineAtMs);
  const credentials = credentialsOf(url, login);
  const client = createHttpClient(credentials);
  run.resources = { ...run.resources, client };
  const version = await confirm({ client, config, effective, binary, server, deadlineAtMs });
  await registerRun(run.resources, { url, version, directory: config.directory, serverPid: server.pid });
  return createOpencodeServer({
    run: { runId, stateDir: state.layout.root, stop: () => run.stop(), relaunch: () => relaunch(run, plan, server) },
    config,
    effective,
    credentials,
    client: exitAwareClient(client, server),
    process: server,
    version,
  });
}

/** Ends one incarnation of a run's server, tools included, and starts the next on the same state. */
function relaunch(run: Run, plan: LaunchPlan, previous: ServerProcess): Promise<OpencodeServer> {
  const refusal = relaunchRefusal(run, previous);
  if (refusal !== undefined) return Promise.reject(new OpencodeManagerError('SERVER_EXITED', refusal, { output: previous.output() }));
  const signal = new AbortController();
  const next = replaceServer(run, plan, previous, signal.signal);
  const settled = next.then(
    () => undefined,
    () => undefined,
  );
  run.relaunching = { signal, settled };
  return next.finally(() => {
    run.relaunching = undefined;
  });
}

async function replaceServer(run: Run, plan: LaunchPlan, previous: ServerProcess, stopped: AbortSignal): Promise<OpencodeServer> {
  previous.expectExit();
  previous.signal('SIGKILL');
  await previous.exited;
  await run.resources.client?.close();
  const { left } = await sweepMarkedProcesses(run.resources.runId, relaunchSweepMs);
  if (left.length > 0) throw stillThere(left, undefined);
  refuseAborted(stopped);
  const signal = plan.config.signal ? AbortSignal.any([plan.config.signal, stopped]) : stopped;
  return startInside(run, { ...plan, config: { ...plan.config, signal } });
}

function relaunchRefusal(run: Run, previous: ServerProcess): string | undefined {
  if (run.stopping) return 'This server was stopped; launch a new one.';
  if (run.relaunching) return 'This server is being relaunched; wait for that.';
  if (run.resources.server && run.resources.server.process !== previous && !run.resources.server.process.exit()) {
    return 'This server was relaunched before; use the newest handle.';
  }
  return undefined;
}

function credentialsOf(url: string, login: { readonly username: string; readonly password: string }): ServerCredentials {
  return { url, ...login, authorization: `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}` };
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

function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw startAborted();
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
