export { startScriptedModel, type ScriptedModel, type ScriptedModelOptions } from './model/server.ts';
export type { CallOutcome, RecordedCall, WaitForCallsOptions } from './model/recorder.ts';
export type { ChatMessage, Conversation } from './model/conversation.ts';
export type { OpencodeConfigOptions, ScriptedOpencodeConfig } from './model/opencode-config.ts';
export { loadScript, parseScript } from './script/load.ts';
export { ScriptError, type ScriptProblem } from './script/error.ts';
export type { Condition, Fault, FileScript, Purpose, Reply, ReplySource, Rule, Script, TextMatch } from './script/types.ts';
export { temporaryWorkspace, type TemporaryWorkspace, type TemporaryWorkspaceOptions } from './workspace/temporary-workspace.ts';
export { demoConfigFiles } from './demo/config.ts';
export { demoScript } from './demo/script.ts';
export { demoTasks, type DemoTask } from './demo/tasks.ts';
export { demoWorkspaceFiles } from './demo/workspace.ts';
export { opencodeUnderTest, type OpencodeUnderTest } from './opencode-under-test.ts';
export { WaitTimeoutError, type WaitOptions } from './wait/waiters.ts';
export { startFaultProxy } from './proxy/proxy.ts';
export { FaultProxyError, type FaultProxyErrorCode } from './proxy/error.ts';
export type { AppliedFault, PassedOutcome, PassedRequest } from './proxy/record.ts';
export type {
  BodyPoint,
  CutKind,
  DelayFault,
  DropFault,
  DuplicateFault,
  EventSelector,
  FaultPoint,
  FaultProxy,
  FaultProxyOptions,
  FaultRule,
  GarbageFault,
  HtmlFault,
  NetworkFault,
  RefuseOptions,
  RemoveRule,
  ReplaceFault,
  RequestHead,
  RequestMatch,
  RespondFault,
  SliceFault,
  StallFault,
  WaitForFaultsOptions,
  WaitForRequestsOptions,
} from './proxy/types.ts';
export type { TestEngine } from './engines/engine.ts';
export { findPostgres, startPostgres } from './engines/postgres.ts';
export { findRedis, startRedis } from './engines/redis.ts';
