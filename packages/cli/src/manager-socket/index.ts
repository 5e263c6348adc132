export type { ConfiguredRun, ProviderView, RowView, RunView, SessionListing, StartedRun, TaskView, TurnPiece } from './answers.ts';
export { createClient, type ManagerClient } from './client.ts';
export { findManager, reachableManagers } from './find-manager.ts';
export { protocolMajor, type GivenTo, type ParametersOf } from './routes.ts';
export { openManagerSocket, type Handlers, type ManagerSocket } from './server.ts';
