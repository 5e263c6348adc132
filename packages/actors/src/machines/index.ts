export { defaultSessionLimits, sessionMachine } from './session.machine.ts';
export type {
  Decision,
  FinalMessage,
  FinishedTurn,
  OpenAsk,
  ProviderRetry,
  SessionContext,
  SessionEmitted,
  SessionInput,
  SessionLimits,
  SessionMachineEvent,
  SnapshotFacts,
  Turn,
  TurnFact,
  TurnPhase,
} from './session.types.ts';
export { defaultRestartLimits, poolMachine } from './pool.machine.ts';
export type { LostTask, PoolContext, PoolInput, PoolMachineEvent, RestartLimits } from './pool.types.ts';
export type { Place } from './task-lanes.ts';
export { describeMachine, type StateDescription, type TransitionDescription } from './describe.ts';
