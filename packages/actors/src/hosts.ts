/**
 * The hosts of the machines, for worlds of one's own: a pool that is given time, chance, servers and events.
 * `@opencode-manager/simulation` runs the real pool this way. Nothing here needs Node: a bundler leaves out what does.
 */
export { createPool } from './pool/create-pool.ts';
export type {
  AskAnswer,
  Clock,
  LaunchPort,
  OpenStreamPort,
  PoolPorts,
  PortCall,
  ServerPort,
  SessionPort,
  StreamNotice,
  StreamPort,
  LeasedWorkspace,
  WorkspaceRequest,
  WorkspaceSource,
} from './ports/index.ts';
export { addSpent, type Spent } from './task/spent.ts';
export { growing, systemClock } from './ports/index.ts';
