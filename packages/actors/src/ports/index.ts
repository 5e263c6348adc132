import type { Clock } from './clock.ts';
import { systemClock } from './clock.ts';
import { openStreamPort } from './monitor-stream.ts';
import { launchPort } from './opencode-server.ts';
import type { LaunchPort } from './server.ts';
import type { OpenStreamPort } from './stream.ts';

export { growing, systemClock, type Clock } from './clock.ts';
export { openStreamPort, streamPort } from './monitor-stream.ts';
export { launchPort, serverPort } from './opencode-server.ts';
export type { AskAnswer, LaunchPort, PortCall, ServerPort, SessionPort } from './server.ts';
export type { OpenStreamPort, StreamNotice, StreamPort } from './stream.ts';

/** All that a pool's hosts know of the world: time, chance, servers and their events. */
export interface PoolPorts {
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly launch: LaunchPort;
  readonly openStream: OpenStreamPort;
}

/** The real world. */
export const systemPorts: PoolPorts = { clock: systemClock, random: Math.random, launch: launchPort, openStream: openStreamPort };
