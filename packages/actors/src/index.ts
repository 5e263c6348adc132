export { createSessionPool } from './pool/create-session-pool.ts';
export type {
  PooledSession,
  PoolEvent,
  PoolEventStream,
  PoolEventType,
  PoolSnapshot,
  RestartBudget,
  SessionActorState,
  SessionPool,
  SessionPoolOptions,
  SessionSnapshot,
  TurnLimits,
} from './pool/types.ts';
export type { HealthCheck } from './recovery/index.ts';
export type { MachineStep } from './machines/index.ts';
export { parseTask, permissionPolicySchema } from './task/schema.ts';
export {
  outcomes,
  type AnsweredAsk,
  type Ask,
  type AskDecision,
  type Outcome,
  type PermissionCallback,
  type PermissionPolicy,
  type PermissionPolicyRule,
  type Task,
  type TaskAttempt,
  type TaskResult,
  type Usage,
} from './task/types.ts';
