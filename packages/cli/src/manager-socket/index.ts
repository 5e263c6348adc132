export { findManager, type ManagerClient } from './client.ts';
export { openManagerSocket, type Handlers, type ManagerSocket } from './server.ts';
export { parseReply, parseRequest, type ParametersOf, type SessionListing, type TurnPiece } from './protocol.ts';
