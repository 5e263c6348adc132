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
  TurnBounds,
  TurnFact,
  TurnPhase,
  TurnReading,
  TurnSpent,
} from './session.types.ts';
export { get, has, members } from './bucket-set.ts';
export { defaultRestartLimits, poolMachine } from './pool.machine.ts';
export type {
  AbortedTask,
  Assignment,
  EndedTask,
  Holder,
  PoolContext,
  PoolInput,
  PoolMachineEvent,
  RestartLimits,
  TaskStep,
  TurnEnd,
} from './pool.types.ts';
export { noProvider, type Place, type QueuedTask } from './task-lanes.ts';
export { tightest, type ProviderGate, type ProviderGates, type ProviderPause } from './provider-gate.ts';
export { isInfrastructureFault, type InfrastructureHold } from './infrastructure-hold.ts';
export { isEnding } from './turn.ts';
export { isRateLimit } from './turn-verdict.ts';
export { serverMachine } from './server.machine.ts';
export type { MemoryLimit, RotationReason, ServerContext, ServerInput, ServerMachineEvent, WatchedServer } from './server.types.ts';
export { statePath, stepInspector, type MachineStep, type StepInspectorOptions } from './step.ts';
export { plainDefinition, type PlainState, type PlainTransition } from './plain-definition.ts';
export { StepReader, type PlainStep, type StepReaderOptions } from './step-reader.ts';
export { contextChanges, plainContext, type ContextChange } from './plain-context.ts';
