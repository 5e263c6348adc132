export type {
  AssistantMessage,
  Message,
  MessageWithParts,
  Part,
  ReasoningPart,
  Recorded,
  TextPart,
  ToolPart,
  UserMessage,
} from './messages.ts';
export type {
  DirectorySnapshot,
  FileDiff,
  PermissionRequest,
  PermissionRule,
  PermissionRuleset,
  QuestionRequest,
  SessionInfo,
  SessionStatus,
  Todo,
} from './sessions.ts';
export {
  codeOfTurnError,
  isEventOf,
  planeOf,
  type EventPlane,
  type ServerEvent,
  type ServerEventData,
  type ServerEventOf,
  type ServerEventType,
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
  TurnError,
  UserMessageFacts,
} from './facts.ts';
export { askFacts, historyFacts, messageFacts, partFacts, sessionFact, sessionFactTypes, statusFacts } from './session-facts.ts';
export { isSealed, type ArrivedEvent, type DecodedFrame, type RecordReader, type SealedEvent } from './records.ts';
export type { ConfigurationSettings, EffectiveConfig, GivenConfiguration, PackagePlaces, ProtocolConfiguration } from './configuration.ts';
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
  OpenAsk,
  PermissionAnswer,
  PromptPart,
  QuestionAnswer,
  ServerCalls,
  LeftFiles,
  SessionCalls,
  TurnRequest,
  UntoldEnd,
} from './calls.ts';
export { cataloguedProviders } from './v1/configuration/catalogued-providers.ts';
export { assertCapable } from './unsupported.ts';
export { knownProtocols, protocolNamed } from './protocols.ts';
export type { AnswerError, AnswerErrorReader, RequestSpec } from './request.ts';
export { fileUrlProblem } from './file-url.ts';
export {
  answersTurn,
  beginsTurn,
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
