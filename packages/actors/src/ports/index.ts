import type { MemoryBudget, OpencodeServer } from '@opencode-manager/core';
import type { EventMonitor } from '@opencode-manager/events';
import type { Clock } from './clock.ts';
import type { LaunchPort, ServerPort } from './server.ts';
import type { OpenStreamPort, StreamPort } from './stream.ts';

export { growing, systemClock, type Clock } from './clock.ts';
export type { AskAnswer, LaunchPort, PortCall, ServerPort, SessionPort } from './server.ts';
export type { OpenStreamPort, StreamNotice, StreamPort } from './stream.ts';
export type { LeasedWorkspace, WorkspaceRequest, WorkspaceSource } from './workspaces.ts';

/** All that a pool's hosts know of the world: time, chance, servers and their events. */
export interface PoolPorts {
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly launch: LaunchPort;
  readonly openStream: OpenStreamPort;
  /** How much memory a server may take here; a world that has no such limit leaves it out. */
  readonly memoryBudget?: () => Promise<MemoryBudget>;
  /** A server and an event monitor of the caller's own, as hosts see them; a world that has neither leaves these out. */
  readonly adoptServer?: (server: OpencodeServer) => ServerPort;
  readonly adoptMonitor?: (monitor: EventMonitor) => StreamPort;
}
