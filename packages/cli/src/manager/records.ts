import type { Manager } from './open.ts';

/** First record of `ocm run --json` and `ocm serve --json`. */
export interface LaunchRecord {
  readonly type: 'launch';
  readonly url: string;
  /** The manager's process id; `--manager` takes it. */
  readonly pid: number;
  readonly server: { readonly pid: number; readonly url: string; readonly version: string };
  readonly run_id: string;
  readonly state_dir: string;
  readonly directory: string;
  readonly profile: 'batch' | 'interactive';
  readonly concurrency: number;
  /** null when the socket could not be opened. */
  readonly socket: string | null;
}

export function launchRecord({ server, pool, socket }: Manager): LaunchRecord {
  return {
    type: 'launch',
    url: server.url,
    pid: process.pid,
    server: { pid: server.pid, url: server.url, version: server.version },
    run_id: server.runId,
    state_dir: server.stateDir,
    directory: server.directory,
    profile: server.profile,
    concurrency: pool.snapshot().maxSessions,
    socket: socket?.path ?? null,
  };
}
