import type { PoolEvent, SessionPool } from '@opencode-manager/actors';
import { formatBytes } from '../render/format.ts';
import { snakeCased } from '../terminal/index.ts';

export interface ServerListener {
  readonly notice: (line: string) => void;
  /** Present under `--json`. */
  readonly record?: (record: object) => void;
}

/** Tells what becomes of a pool's server: lost and started again, or replaced while it ran. */
export function tellServers(pool: SessionPool, { notice, record }: ServerListener): void {
  pool.on('*', (event) => {
    const line = lineOf(event);
    if (line !== undefined) notice(line);
    if (event.type.startsWith('server.')) record?.(recordOf(event));
  });
}

function lineOf(event: PoolEvent): string | undefined {
  switch (event.type) {
    case 'pool.changed':
      return event.state === 'recovering' ? 'The opencode server was lost; starting it again.' : undefined;
    case 'server.restarted':
      return `The opencode server runs again on ${event.server.url}; what did not finish goes on.`;
    case 'server.rotating':
      return `The opencode server ${whyReplaced(event)}; another one is started beside it.`;
    case 'server.rotated':
      return `New turns run on ${event.server.url}; the server before finishes its own.`;
    case 'server.rotation_failed':
      return `No other opencode server could be started, this one goes on: ${event.error.message}`;
    case 'server.memory_held':
      return `The opencode server uses ${formatBytes(event.rssBytes)} again, above its limit of ${formatBytes(event.maxBytes)}: another one would, too. None is started for that for 10 minutes.`;
    default:
      return undefined;
  }
}

function whyReplaced({ reason, rssBytes }: Extract<PoolEvent, { type: 'server.rotating' }>): string {
  if (reason === 'memory') return rssBytes === undefined ? 'has grown too large' : `has grown to ${formatBytes(rssBytes)}`;
  return reason === 'quarantine' ? 'holds a turn that it does not end' : 'is replaced';
}

/** Record of `--json`: the event, with its time as ISO 8601. The `launch` record keeps standing otherwise. */
function recordOf({ sequence: _sequence, atMs, ...event }: PoolEvent): object {
  return { ...(snakeCased(event) as object), at: new Date(atMs).toISOString() };
}
