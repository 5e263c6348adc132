export { faultKinds, type FaultId, type FaultKind } from './fault-kinds.ts';
export type { Action, Fault, LinkPlan, Plan, PoolPlan, StepScript, TaskPlan, ToolScript, TurnScript, When } from './plan/types.ts';
export { drawPlan, profiles, type Profile } from './plan/draw.ts';
export { shrink } from './plan/shrink.ts';
export { runWorld, type RunOptions, type WorldReport } from './run.ts';
export { World, type WorldOptions } from './world/world.ts';
export { Users, type Call } from './users.ts';
export type { Rule, Violation } from './oracle/judge.ts';
export { Randomness } from './world/randomness.ts';
