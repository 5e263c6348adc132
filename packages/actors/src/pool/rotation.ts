import { OpencodeManagerError } from '@opencode-manager/core/errors';
import type { ServerSupervisor } from '../supervision/index.ts';
import type { PoolEvents } from './pool-events.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolEvent } from './types.ts';

/** Asks for another server, and waits for it. @throws `CONFIG_INVALID`, `POOL_STOPPED`, whatever the start of a server throws */
export async function rotation(supervisor: ServerSupervisor, events: PoolEvents, { recovers }: PoolSettings): Promise<void> {
  if (!recovers) {
    throw new OpencodeManagerError('CONFIG_INVALID', 'rotateServer(): this pool may not start servers. Create it with recovery: true.', {
      details: { field: 'recovery' },
    });
  }
  const done = Promise.withResolvers<void>();
  const stop = events.on('*', (event) => settle(event, done));
  try {
    supervisor.rotate('asked');
    await done.promise;
  } finally {
    stop();
  }
}

function settle(event: PoolEvent, done: PromiseWithResolvers<void>): void {
  if (event.type === 'server.rotated' || event.type === 'server.restarted') done.resolve();
  else if (event.type === 'server.rotation_failed') done.reject(OpencodeManagerError.from(event.error));
  else if (event.type === 'pool.changed' && ['draining', 'stopped', 'failed'].includes(event.state)) {
    done.reject(new OpencodeManagerError('POOL_STOPPED', `The pool is ${event.state}; its server is not replaced any more.`));
  }
}
