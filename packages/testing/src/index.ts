export { startScriptedModel, type ScriptedModel, type ScriptedModelOptions } from './model/server.ts';
export {
  WaitTimeoutError,
  type CallOutcome,
  type RecordedCall,
  type WaitForCallsOptions,
  type WaitOptions,
} from './model/recorder.ts';
export type { ChatMessage, Conversation } from './model/conversation.ts';
export type { ScriptedOpencodeConfig } from './model/opencode-config.ts';
export { loadScript, parseScript } from './script/load.ts';
export { ScriptError, type ScriptProblem } from './script/error.ts';
export type { Condition, Fault, FileScript, Purpose, Reply, ReplySource, Rule, Script, TextMatch } from './script/types.ts';
export { temporaryWorkspace, type TemporaryWorkspace, type TemporaryWorkspaceOptions } from './workspace/temporary-workspace.ts';
export { demoConfigFiles } from './demo/config.ts';
export { demoScript } from './demo/script.ts';
export { demoTasks, type DemoTask } from './demo/tasks.ts';
export { demoWorkspaceFiles } from './demo/workspace.ts';
