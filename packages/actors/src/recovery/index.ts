export { classifyTurn, hasUnfinishedTools } from './classify-turn.ts';
export { defaultHealthCheck, type HealthCheck } from './health-watch.ts';
export { ServerKeeper } from './server-keeper.ts';
