import type { Message, Part } from '@opencode-ai/sdk/v2/types';

/**
 * Types of what the server sends, by the names this project uses. They are the official SDK's own types; importing
 * them here alone keeps the SDK's module path in one place.
 */
export type {
  AssistantMessage,
  Message,
  Part,
  PermissionRequest,
  PermissionRule,
  PermissionRuleset,
  QuestionRequest,
  Session as SessionInfo,
  SessionStatus,
  SnapshotFileDiff,
  TextPartInput,
  FilePartInput,
  AgentPartInput,
  SubtaskPartInput,
  Todo,
  ToolPart,
  UserMessage,
} from '@opencode-ai/sdk/v2/types';

export interface MessageWithParts {
  readonly info: Message;
  readonly parts: Part[];
}
