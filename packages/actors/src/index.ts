export { createSessionPool } from './pool/create-session-pool.ts';
export type {
  LeasedPromptOptions,
  LeasedTurnOptions,
  PooledSession,
  PoolEvent,
  PoolEventStream,
  PoolEventType,
  PoolSnapshot,
  ProviderSnapshot,
  RestartBudget,
  SessionActorState,
  SessionPool,
  SessionPoolOptions,
  SessionSnapshot,
  TurnLimits,
} from './pool/types.ts';
export type { LeasedWorkspace, WorkspaceRequest, WorkspaceSource } from './ports/index.ts';
export type { HealthCheck } from './supervision/index.ts';
export type { MachineStep } from './machines/index.ts';
export { assertOffered, type WantedTurn } from './task/preflight.ts';
export { limitFields, maxPromptBytes, taskFields, taskValues } from './task/fields.ts';
export { toldProof } from './task/task-result.ts';
export { parseTask, permissionPolicySchema } from './task/schema.ts';
export {
  outcomes,
  type AnsweredAsk,
  type AnswerVerdict,
  type Ask,
  type AskDecision,
  type Outcome,
  type PermissionCallback,
  type PermissionPolicy,
  type PermissionPolicyRule,
  type Task,
  type TaskAnswer,
  type TaskAttempt,
  type TaskFile,
  type TaskLimits,
  type OutgoingTurn,
  type SentTurn,
  type TaskOptions,
  type TaskProof,
  type RanOn,
  type TaskResult,
  type TaskWorkspaceResult,
  type Usage,
  type WorkspaceChanges,
  type WorkspaceCommit,
  type WorkspaceRemnant,
} from './task/types.ts';
