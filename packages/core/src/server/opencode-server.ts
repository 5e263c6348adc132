import type { EffectiveConfig, ResolvedConfig } from '../config/index.ts';
import type { HttpClient, ServerCredentials } from '../http/index.ts';
import { requests } from '../protocol/index.ts';
import type { ServerProcess } from './server-process.ts';
import { createServerSessions } from './server-sessions.ts';
import { stopRun, type RunResources } from './stop.ts';
import type { OpencodeServer, StopReport } from './types.ts';

export interface ServerParts {
  readonly run: RunResources;
  readonly config: ResolvedConfig;
  readonly effective: EffectiveConfig;
  readonly credentials: ServerCredentials;
  readonly client: HttpClient;
  readonly process: ServerProcess;
  readonly version: string;
}

/** Deadline of one health probe: a healthy busy server has needed 2.2 s. */
const healthTimeoutMs = 5000;

/** Puts the handle of a running server together. */
export function createOpencodeServer({
  run,
  config,
  effective,
  credentials,
  client,
  process: server,
  version,
}: ServerParts): OpencodeServer {
  let stopping: Promise<StopReport> | undefined;
  const stop = (): Promise<StopReport> => {
    config.signal?.removeEventListener('abort', onAbort);
    stopping ??= stopRun(run);
    return stopping;
  };
  // Nobody awaits this stop; whoever calls stop() later gets the same promise, and its failure.
  const onAbort = () => void stop().catch(() => undefined);
  config.signal?.addEventListener('abort', onAbort, { once: true });

  return {
    url: credentials.url,
    pid: server.pid,
    version,
    directory: config.directory,
    stateDir: run.state.layout.root,
    runId: run.runId,
    profile: config.profile,
    snapshots: effective.snapshots,
    client,
    exited: server.exited,
    credentials: () => credentials,
    output: () => server.output(),
    async health(options = {}) {
      const startedAtMs = performance.now();
      const answer = await client.call(requests.health(), { timeoutMs: healthTimeoutMs, ...options });
      return { version: answer.version, latencyMs: performance.now() - startedAtMs };
    },
    ...createServerSessions(client, config, effective),
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
    },
  };
}
