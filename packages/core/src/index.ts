export { errorCatalogue, isManagerError, OpencodeManagerError, toManagerError, type ErrorCode, type ErrorDetails, type SerializedError } from './errors/index.ts';
export type { CallOptions, HttpClient, ServerCredentials } from './http/index.ts';
export type {
  Catalogue,
  OpencodeServer,
  PermissionAnswer,
  QuestionAnswer,
  ServerExit,
  ServerHealth,
  StopReport,
} from './server/types.ts';
export type {
  CreateSessionOptions,
  DirectorySnapshot,
  PromptPart,
  Session,
  SessionOperations,
  SessionState,
  TokenUsage,
  TurnCallOptions,
  TurnOptions,
  TurnRequest,
  TurnResult,
} from './session/types.ts';
