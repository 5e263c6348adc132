import { OpencodeManagerError } from '@opencode-manager/core';
import type { StreamSettings } from '../host/stream-supervisor.ts';
import type { EventMonitorOptions, EventSource } from './types.ts';

/** One frame of a 60 Hz display: batches this far apart look continuous and wake the main thread rarely. */
const frameMs = 16;

const defaults = { watchdogMs: 25_000, reconnectMinMs: 100, reconnectMaxMs: 5000, bufferLimit: 10_000 };

/** The options with their defaults, and what the worker needs to connect. @throws `CONFIG_INVALID` */
export function settingsOf(server: EventSource, options: EventMonitorOptions): StreamSettings & { readonly bufferLimit: number } {
  const { url, authorization } = server.credentials();
  return {
    protocol: server.protocol ?? 'v1',
    url,
    authorization,
    directory: server.directory,
    coalesce: options.coalesce ?? true,
    frameMs: options.latency === 'low' ? 0 : frameMs,
    watchdogMs: positive('watchdogMs', options.watchdogMs ?? defaults.watchdogMs),
    reconnectMinMs: positive('reconnect.minMs', options.reconnect?.minMs ?? defaults.reconnectMinMs),
    reconnectMaxMs: positive('reconnect.maxMs', options.reconnect?.maxMs ?? defaults.reconnectMaxMs),
    bufferLimit: positive('bufferLimit', options.bufferLimit ?? defaults.bufferLimit),
  };
}

function positive(name: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return value;
  throw new OpencodeManagerError('CONFIG_INVALID', `${name}: expected a number above 0 and received ${String(value)}.`, {
    details: { option: name },
  });
}
