// oxlint-disable-next-line import/no-unassigned-import -- it has to come first
import './node-version.ts';
export {
  errorCatalogue,
  isInfrastructureFault,
  isManagerError,
  OpencodeManagerError,
  toManagerError,
  type ErrorCode,
  type ErrorDetails,
  type SerializedError,
} from './errors/index.ts';
export { Redactor } from './secrets/index.ts';
export { serverConfigJsonSchema, serverConfigSchema, type ServerConfig } from './config/index.ts';
export { launchServer } from './server/launch.ts';
export type { CallOptions, HttpClient, ServerCredentials } from './http/index.ts';
export type { ConfiguredPart, PartsOptions } from './server/configured-parts.ts';
export { describePart, partKindNames } from './server/configured-parts.ts';
export type { LaunchedPackage, LaunchReport } from './server/launch-report.ts';
export type { AskedRequest, Catalogue, OpencodeServer, ServerExit, ServerHealth, StopReport } from './server/types.ts';
export type {
  CreateSessionOptions,
  DirectorySnapshot,
  RevertOptions,
  Session,
  SessionOperations,
  SessionState,
  TokenUsage,
  TurnAsk,
  TurnCallOptions,
  TurnOptions,
  TurnResult,
} from './session/types.ts';
export { cataloguedProviders } from './protocol/index.ts';
export type {
  AssistantMessage,
  FileDiff,
  Message,
  MessageWithParts,
  Part,
  PermissionAnswer,
  PermissionRequest,
  PermissionRule,
  PermissionRuleset,
  PromptPart,
  ProtocolCapabilities,
  ProtocolName,
  QuestionAnswer,
  QuestionRequest,
  SessionInfo,
  SessionStatus,
  Todo,
  ToolPart,
  TurnRequest,
  UserMessage,
} from './protocol/index.ts';
export {
  proveTurnEnd,
  proofSignals,
  type TurnProof,
  type TurnEvidence,
  type TurnEnd,
  type Signal,
  type ProofSignal,
} from './turn/index.ts';
export {
  decideAsk,
  matchesShellLine,
  matchesWildcard,
  rulesFor,
  type Ask,
  type AskDecision,
  type AskedQuestion,
  type PermissionCallback,
  type PermissionPolicy,
  type PermissionPolicyRule,
} from './policy/index.ts';
export { parsePermissionPolicy, permissionPolicyInCode, permissionPolicySchema } from './policy/schema.ts';
export { findBinary, protocolOfVersion, supportedVersions, type BinaryInfo } from './server/binary.ts';
export { findLeftovers, reapLeftovers, type Leftover } from './process/leftovers.ts';
export { listForeignRuns, listRuns, managerOf, registryDirectory, runSocketPath, type RunRecord } from './process/registry.ts';
export { describeForeign, processOrigin, type ProcessOrigin, type RecordedProcess } from './process/origin.ts';
export { userHome } from './process/user.ts';
export { memoryBudget, readMemoryLimit, type MemoryBudget, type MemoryLimit } from './process/memory-budget.ts';
export { isSameProcess, processStartTime } from './process/start-time.ts';
export { findMarkedProcesses, type MarkedProcess } from './process/table.ts';
export { explainFullDisk, realWorkspace, usersOwnDirectories, type CheckOptions, type WorkspaceCheck } from './isolation/index.ts';
export { parseJsonc, parseServerConfig, readOpencodeConfig } from './config/index.ts';
