import type { SessionPool, SessionPoolOptions } from '../../src/index.ts';
import * as hosts from '../../src/pool/create-pool.ts';
import * as source from '../../src/pool/create-session-pool.ts';
import type { PoolDependencies } from '../../src/pool/settings.ts';
import { recordTransitions } from './transition-record.ts';

/** The real function, with its machines' steps noted for the coverage that is printed at the end. */
export function createSessionPool(options: SessionPoolOptions = {}): Promise<SessionPool> {
  return source.createSessionPool(recorded(options));
}

/** As {@link createSessionPool}, with time, chance and the session machine injected. */
export function createPool(options: SessionPoolOptions, dependencies: PoolDependencies): Promise<SessionPool> {
  return hosts.createPool(recorded(options), dependencies);
}

function recorded(options: SessionPoolOptions): SessionPoolOptions {
  return {
    ...options,
    inspect(step) {
      recordTransitions('real', step.transitions);
      options.inspect?.(step);
    },
  };
}
