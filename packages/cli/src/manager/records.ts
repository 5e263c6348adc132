import type { ConfiguredPart, LaunchedPackage, ProtocolName } from '@opencode-manager/core';
import type { Manager } from './open.ts';

/** First record of `ocm run --json` and `ocm serve --json`. */
export interface LaunchRecord {
  readonly type: 'launch';
  readonly url: string;
  /** The manager's process id; `--manager` takes it. */
  readonly pid: number;
  readonly server: { readonly pid: number; readonly url: string; readonly version: string; readonly protocol: ProtocolName };
  readonly run_id: string;
  readonly state_dir: string;
  readonly directory: string;
  readonly profile: 'batch' | 'interactive';
  readonly tool_home: 'private' | 'user';
  /** Keys of the user's git configuration that tools have. */
  readonly git: { readonly source: 'user' | 'private'; readonly keys: readonly string[] };
  /** Names of the variables of proxies and certificates that were passed, and of proxies that were not. */
  readonly network: { readonly passed: readonly string[]; readonly withheld: readonly string[] };
  /** Whether opencode's own npm may fetch, and for what. */
  readonly npm: { readonly online: boolean; readonly packages: readonly LaunchedPackage[] };
  /** What is configured and whether it works. MCP servers may be `starting`: a record of the type `parts` follows then. */
  readonly parts: readonly ConfiguredPart[];
  /** What failed or was left out at the start; sentences. */
  readonly notes: readonly string[];
  readonly concurrency: number;
  /** null when the socket could not be opened. */
  readonly socket: string | null;
}

export function launchRecord({ server, pool, socket }: Manager, parts: readonly ConfiguredPart[]): LaunchRecord {
  return {
    type: 'launch',
    url: server.url,
    pid: process.pid,
    server: { pid: server.pid, url: server.url, version: server.version, protocol: server.protocol },
    run_id: server.runId,
    state_dir: server.stateDir,
    directory: server.directory,
    profile: server.profile,
    tool_home: server.launch.toolHome,
    git: server.launch.git,
    network: server.launch.network,
    npm: server.launch.npm,
    parts,
    notes: server.launch.notes,
    concurrency: pool.snapshot().maxSessions,
    socket: socket?.path ?? null,
  };
}
