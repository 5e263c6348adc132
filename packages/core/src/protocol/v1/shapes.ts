import type * as Wire from '@opencode-ai/sdk/v2/types';
import type { AskedQuestion } from '../../policy/types.ts';
import type { AssistantMessage, Message, MessageWithParts, Part, TextPart, ToolPart, UserMessage } from '../messages.ts';
import type { PermissionRequest, QuestionRequest, SessionInfo, SessionStatus } from '../sessions.ts';
import { decodeTurnError } from './turn-error.ts';

// A record that an older version stored may lack what newer ones always have, whatever its type says: one such record must not take the
// session's other messages with it.

export interface WireMessageWithParts {
  readonly info: Wire.Message;
  readonly parts: readonly Wire.Part[];
}

// These are made for every event that somebody follows: fields that may be absent are set one by one, because spreading them costs a tenth of the main thread in a flood.

type Building<Value> = { -readonly [Field in keyof Value]: Value[Field] };

/** A message of the wire, in this project's words. */
export function decodeMessage(raw: Wire.Message): Message {
  return raw.role === 'user' ? decodePrompt(raw) : decodeAnswer(raw);
}

function decodePrompt(raw: Wire.UserMessage): UserMessage {
  const { id, sessionID, agent, model } = raw;
  const prompt: Building<UserMessage> = { role: 'user', id, sessionId: sessionID, createdAtMs: raw.time?.created ?? 0, raw };
  if (agent !== undefined) prompt.agent = agent;
  if (model) prompt.model = `${model.providerID}/${model.modelID}`;
  return prompt;
}

function decodeAnswer(raw: Wire.AssistantMessage): AssistantMessage {
  const { id, sessionID, agent, parentID, time, finish, error, providerID, modelID, tokens, cost } = raw;
  const completedAtMs = time?.completed;
  const answer: Building<AssistantMessage> = {
    role: 'assistant',
    id,
    sessionId: sessionID,
    createdAtMs: time?.created ?? 0,
    parentId: parentID,
    completed: completedAtMs !== undefined,
    providerId: providerID,
    model: `${providerID}/${modelID}`,
    tokens: decodeTokens(tokens),
    costUsd: cost ?? 0,
    raw,
  };
  if (agent !== undefined) answer.agent = agent;
  if (completedAtMs !== undefined) answer.completedAtMs = completedAtMs;
  if (finish !== undefined) answer.finish = finish;
  if (error) answer.error = decodeTurnError(error);
  if (raw.summary === true) answer.summary = true;
  return answer;
}

const noTokens: AssistantMessage['tokens'] = { input: 0, output: 0, reasoning: 0, cacheRead: 0, cacheWrite: 0 };

function decodeTokens(tokens: Partial<Wire.AssistantMessage['tokens']> | undefined): AssistantMessage['tokens'] {
  if (!tokens) return noTokens;
  const { input = 0, output = 0, reasoning = 0, cache } = tokens;
  return { input, output, reasoning, cacheRead: cache?.read ?? 0, cacheWrite: cache?.write ?? 0 };
}

/** A part of the wire, in this project's words. */
export function decodePart(raw: Wire.Part): Part {
  const { id, messageID: messageId, sessionID: sessionId } = raw;
  switch (raw.type) {
    case 'text':
      return decodeText(raw);
    case 'reasoning':
      return { id, messageId, sessionId, type: 'reasoning', text: raw.text, ended: hasEnded(raw.time), raw };
    case 'tool':
      return decodeTool(raw);
    case 'file': {
      const { mime, url, filename } = raw;
      return { id, messageId, sessionId, type: 'file', mime, url, ...(filename !== undefined && { filename }), raw };
    }
    case 'step-start':
    case 'step-finish': {
      const type = raw.type === 'step-start' ? 'step' : 'step_end';
      const { snapshot } = raw;
      return snapshot === undefined ? { id, messageId, sessionId, type, raw } : { id, messageId, sessionId, type, snapshot, raw };
    }
    case 'patch':
      return { id, messageId, sessionId, type: 'patch', files: raw.files, raw };
    case 'compaction':
      return { id, messageId, sessionId, type: 'compaction', raw };
    default:
      return { id, messageId, sessionId, type: 'other', raw };
  }
}

/** What has no times is there whole. */
function hasEnded(time: { readonly end?: number } | undefined): boolean {
  return time === undefined || time.end !== undefined;
}

function decodeText(raw: Wire.TextPart): TextPart {
  const { id, messageID, sessionID, text, time } = raw;
  const part: Building<TextPart> = { id, messageId: messageID, sessionId: sessionID, type: 'text', text, ended: hasEnded(time), raw };
  if (raw.synthetic === true || raw.ignored === true) part.synthetic = true;
  return part;
}

function decodeTool(raw: Wire.ToolPart): ToolPart {
  const { id, messageID, sessionID, callID, tool, state } = raw;
  const { status, input, output } = decodeState(state);
  const part: Building<ToolPart> = {
    id,
    messageId: messageID,
    sessionId: sessionID,
    type: 'tool',
    callId: callID,
    tool,
    status,
    input,
    output,
    raw,
  };
  const exit = 'metadata' in state ? state.metadata?.['exit'] : undefined;
  const time: { readonly start: number; readonly end?: number } | undefined = 'time' in state ? state.time : undefined;
  if ('title' in state && state.title !== undefined) part.title = state.title;
  if (time) part.startedAtMs = time.start;
  if (time?.end !== undefined) part.endedAtMs = time.end;
  if (mayGoOn(raw)) part.mayGoOn = true;
  if (typeof exit === 'number' || exit === null) part.exitCode = exit;
  return part;
}

function decodeState(state: Wire.ToolState): Pick<ToolPart, 'status' | 'input' | 'output'> {
  const { status, input } = state;
  if (status === 'completed') return { status, input, output: state.output };
  if (status === 'error') return { status: 'failed', input, output: state.error };
  const soFar = status === 'running' ? state.metadata?.['output'] : undefined;
  return { status, input, output: typeof soFar === 'string' ? soFar : '' };
}

/** opencode's own: they end with an abort, or what they have started can be ended. */
const ownTools = new Set(
  'invalid bash read glob grep list edit multiedit write patch apply_patch task webfetch websearch codesearch todowrite todoread skill question lsp batch plan_enter plan_exit'.split(
    ' ',
  ),
);

/** After an abort opencode is idle at once, and lets what another tool does go on. */
function mayGoOn({ tool, state }: Wire.ToolPart): boolean {
  if (ownTools.has(tool)) return false;
  return state.status === 'running' || (state.status === 'error' && state.metadata?.['interrupted'] === true);
}

export function decodeHistory({ info, parts }: WireMessageWithParts): MessageWithParts {
  return { info: decodeMessage(info), parts: parts.map(decodePart) };
}

export function decodeSession(raw: Wire.Session): SessionInfo {
  const { id, title, directory, parentID, time, revert } = raw;
  return {
    id,
    title,
    directory,
    ...(parentID !== undefined && { parentId: parentID }),
    createdAtMs: time?.created ?? 0,
    updatedAtMs: time?.updated ?? 0,
    ...(revert && { revertedTo: revert.messageID }),
    raw,
  };
}

export function decodeStatus(raw: Wire.SessionStatus): SessionStatus {
  if (raw.type !== 'retry') return { type: raw.type };
  return { type: 'retry', attempt: raw.attempt, message: raw.message, nextAtMs: raw.next, raw };
}

export function decodePermission(raw: Wire.PermissionRequest, directory?: string): PermissionRequest {
  const { id, sessionID, permission, patterns, metadata, always, tool } = raw;
  return {
    kind: 'permission',
    id,
    sessionId: sessionID,
    ...(directory !== undefined && { directory }),
    permission,
    patterns,
    metadata,
    always,
    ...(tool && { tool: { messageId: tool.messageID, callId: tool.callID } }),
    raw,
  };
}

export function decodeQuestion(raw: Wire.QuestionRequest, directory?: string): QuestionRequest {
  const { id, sessionID, questions, tool } = raw;
  return {
    kind: 'question',
    id,
    sessionId: sessionID,
    ...(directory !== undefined && { directory }),
    questions: (questions ?? []).map(decodeAsked),
    ...(tool && { tool: { messageId: tool.messageID, callId: tool.callID } }),
    raw,
  };
}

function decodeAsked({ options: given, ...question }: Wire.QuestionInfo): AskedQuestion {
  const options = given ?? [];
  return {
    ...question,
    options: options.map(({ label }) => label),
    choices: options.map(({ label, description }) => ({ label, description })),
  };
}
