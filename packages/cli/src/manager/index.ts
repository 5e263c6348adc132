export type { PageRequest } from './handlers.ts';
export { openManager, type Manager } from './open.ts';
export { launchRecord } from './records.ts';
export { knownParts, tellParts } from './tell-parts.ts';
export { tellServers } from './tell-servers.ts';
export { outputOf } from './turn-output.ts';
