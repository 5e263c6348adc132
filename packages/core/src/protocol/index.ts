export type {
  AgentPartInput,
  AssistantMessage,
  FilePartInput,
  Message,
  MessageWithParts,
  Part,
  PermissionRequest,
  PermissionRule,
  PermissionRuleset,
  QuestionRequest,
  SessionInfo,
  SessionStatus,
  SnapshotFileDiff,
  SubtaskPartInput,
  TextPartInput,
  Todo,
  ToolPart,
  UserMessage,
} from './types.ts';
export {
  isEventOf,
  planeOf,
  type EventPlane,
  type ServerEvent,
  type ServerEventData,
  type ServerEventOf,
  type ServerEventType,
  type TurnError,
} from './events.ts';
export type {
  AskFacts,
  AssistantMessageFacts,
  DirectoryFacts,
  MessageFacts,
  MessageHistory,
  MessageTokens,
  PartFacts,
  ProviderRetry,
  Reading,
  SessionFact,
  StatusFacts,
  UserMessageFacts,
} from './facts.ts';
export { historyFacts, messageFacts, partFacts, sessionFact, sessionFactTypes, statusFacts } from './v1/facts.ts';
export { codeOfTurnError, decodeTurnError } from './v1/decode.ts';
export { isSealed, type ArrivedEvent, type DecodedFrame, type RecordReader, type SealedEvent } from './records.ts';
export { carriedShellLine, carryShellLine, exitCodeFile, exitCodeOf, withExitCodes } from './v1/shell-line.ts';
export type {
  ProcessSettings,
  Protocol,
  ProtocolCapabilities,
  ProtocolConfirmation,
  ProtocolName,
  ProtocolProcess,
  ProtocolStream,
} from './protocol.ts';
export type {
  McpServerState,
  OfferedChoice,
  PermissionAnswer,
  PromptPart,
  QuestionAnswer,
  ServerCalls,
  SessionCalls,
  TurnRequest,
} from './calls.ts';
export { knownProtocols, protocolNamed } from './protocols.ts';
export type { RequestSpec } from './request.ts';
export { fileUrlProblem } from './file-url.ts';
export {
  answersTurn,
  belongsToTurn,
  chosenFor,
  createMessageIds,
  finalAnswer,
  isFinalReason,
  judgeFinish,
  proofSignals,
  proveTurnEnd,
  type FinishFacts,
  type FinishVerdict,
  type MessageIds,
  type ProofSignal,
  type Signal,
  type SignalSource,
  type TurnChoices,
  type TurnEnd,
  type TurnEvidence,
  type TurnProof,
} from '../turn/index.ts';
