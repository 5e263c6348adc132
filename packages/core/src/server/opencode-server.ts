import type { ResolvedConfig } from '../config/index.ts';
import type { CallOptions, HttpClient, ServerCredentials } from '../http/index.ts';
import type { Workspaces } from '../isolation/index.ts';
import type { EffectiveConfig, Protocol } from '../protocol/index.ts';
import type { ServerProcess } from './server-process.ts';
import type { PartsReader } from './configured-parts.ts';
import type { LaunchReport } from './launch-report.ts';
import { createServerSessions } from './server-sessions.ts';
import type { OpencodeServer, ServerHealth, StopReport } from './types.ts';

/** What a handle can do to its process and to its run. */
export interface Lifecycle extends Pick<OpencodeServer, 'relaunch' | 'startSuccessor' | 'retire' | 'endTools'> {
  stop(): Promise<StopReport>;
  /** undefined when the process is gone. */
  residentBytes(): Promise<number | undefined>;
}

export interface ServerParts {
  readonly runId: string;
  readonly stateDir: string;
  readonly lifecycle: Lifecycle;
  readonly config: ResolvedConfig;
  readonly effective: EffectiveConfig;
  readonly launch: LaunchReport;
  readonly parts: PartsReader;
  readonly workspaces: Workspaces;
  readonly credentials: ServerCredentials;
  readonly client: HttpClient;
  readonly process: ServerProcess;
  readonly version: string;
  readonly protocol: Protocol;
}

/** Deadline of one health probe: a healthy busy server has needed 2.2 s. */
const healthTimeoutMs = 5000;

async function healthOf(client: HttpClient, { confirmation }: Protocol, options?: CallOptions): Promise<ServerHealth> {
  const startedAtMs = performance.now();
  const { version } = await client.call(confirmation.version(), { timeoutMs: healthTimeoutMs, ...options });
  return { version, latencyMs: performance.now() - startedAtMs };
}

/** Puts the handle of a running server together. */
export function createOpencodeServer({
  runId,
  stateDir,
  lifecycle,
  config,
  effective,
  launch,
  parts,
  workspaces,
  credentials,
  client,
  process: server,
  version,
  protocol,
}: ServerParts): OpencodeServer {
  const stop = (): Promise<StopReport> => {
    config.signal?.removeEventListener('abort', onAbort);
    return lifecycle.stop();
  };
  // Nobody awaits this stop; whoever calls stop() later gets the same promise, and its failure.
  const onAbort = () => void stop().catch(() => undefined);
  config.signal?.addEventListener('abort', onAbort, { once: true });

  const sessions = createServerSessions({ client, protocol, credentials, config, effective, stateDir, workspaces, server });
  return {
    url: credentials.url,
    pid: server.pid,
    version,
    protocol: protocol.name,
    capabilities: protocol.capabilities,
    directory: config.directory,
    stateDir,
    runId,
    profile: config.profile,
    snapshots: effective.snapshots,
    launch,
    parts: async (options) => config.redactor.json(await parts(options)),
    client,
    redactor: config.redactor,
    exited: server.exited,
    credentials: () => credentials,
    output: () => server.output(),
    health: (options) => healthOf(client, protocol, options),
    ...sessions,
    onUntoldEnd: (listener) => server.untoldEnds.listen(listener),
    notes: () => [...effective.notes, ...launch.notes, ...workspaces.notes(), ...sessions.notes()],
    residentBytes: async () => (await lifecycle.residentBytes()) ?? 0,
    endTools: (sessionId) => lifecycle.endTools(sessionId),
    relaunch() {
      // The next handle listens to the caller's signal from now on.
      config.signal?.removeEventListener('abort', onAbort);
      return lifecycle.relaunch();
    },
    startSuccessor: () => lifecycle.startSuccessor(),
    retire() {
      config.signal?.removeEventListener('abort', onAbort);
      return lifecycle.retire();
    },
    stop,
    [Symbol.asyncDispose]: async () => void (await stop()),
  };
}
