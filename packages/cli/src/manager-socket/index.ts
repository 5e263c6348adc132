export { findManager, type ManagerClient } from './client.ts';
export { openManagerSocket, type HandlerContext, type Handlers, type ManagerSocket } from './server.ts';
export { parseReply, parseRequest, type ManagerDescription, type ParametersOf, type SessionListing } from './protocol.ts';
