import type { ActorRefFrom } from 'xstate';
import type { poolMachine, PoolMachineEvent } from '../machines/index.ts';

export type PoolActor = ActorRefFrom<typeof poolMachine>;

/** Sends to the pool actor; false when the pool was stopped, after which nothing matters to it. */
export function tell(actor: PoolActor, event: PoolMachineEvent): boolean {
  if (actor.getSnapshot().status !== 'active') return false;
  actor.send(event);
  return true;
}
