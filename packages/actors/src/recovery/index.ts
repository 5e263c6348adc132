export { classifyTurn, hasUnfinishedTools } from './classify-turn.ts';
export { defaultHealthCheck, type HealthCheck } from './health-watch.ts';
export { ServerKeeper, type MemoryCheck, type ServerLoss } from './server-keeper.ts';
