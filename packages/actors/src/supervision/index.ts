export { classifyTurn, type TurnFate } from './classify-turn.ts';
export { defaultHealthCheck, type HealthCheck } from './health-probe.ts';
export { ServerSupervisor, type MemoryCheck, type SupervisorListener } from './server-supervisor.ts';
