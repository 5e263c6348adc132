export type { PageRequest } from './handlers.ts';
export { openManager, type Manager } from './open.ts';
export { launchRecord, restartRecord } from './records.ts';
export { outputOf } from './turn-output.ts';
