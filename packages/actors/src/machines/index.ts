export { sessionMachine } from './session.machine.ts';
export { defaultSessionLimits } from './session.setup.ts';
export type {
  ChildState,
  Decision,
  FinalFacts,
  FinalMessage,
  FinishedTurn,
  LoopFacts,
  OpenAsk,
  ProviderRetry,
  ReadRequest,
  SessionContext,
  SessionEmitted,
  SessionInput,
  SessionLimits,
  SessionMachineEvent,
  Turn,
  TurnFact,
  TurnPhase,
  TurnReading,
} from './session.types.ts';
export { has } from './bucket-set.ts';
export { defaultRestartLimits, poolMachine } from './pool.machine.ts';
export type { LossOfServer, LostTask, PoolContext, PoolInput, PoolMachineEvent, RestartLimits } from './pool.types.ts';
export type { Place } from './task-lanes.ts';
export type { ProviderGate, ProviderPause } from './provider-gate.ts';
export { isRateLimit } from './turn-verdict.ts';
export { serverMachine } from './server.machine.ts';
export type { MemoryLimit, RotationReason, ServerContext, ServerInput, ServerMachineEvent } from './server.types.ts';
export { statePath, stepInspector, type MachineStep, type StepInspectorOptions } from './step.ts';
export { plainDefinition, type PlainState, type PlainTransition } from './plain-definition.ts';
export { StepReader, type PlainStep, type StepReaderOptions } from './step-reader.ts';
export { contextChanges, plainContext, type ContextChange } from './plain-context.ts';
