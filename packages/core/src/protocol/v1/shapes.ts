import type * as Wire from '@opencode-ai/sdk/v2/types';
import type { AskedQuestion } from '../../policy/types.ts';
import type { AssistantMessage, Message, MessageWithParts, Part, ToolPart } from '../messages.ts';
import type { PermissionRequest, QuestionRequest, SessionInfo, SessionStatus } from '../sessions.ts';
import { decodeTurnError } from './turn-error.ts';

// A record that an older version stored may lack what newer ones always have, whatever its type says: one such record must not take the
// session's other messages with it.

export interface WireMessageWithParts {
  readonly info: Wire.Message;
  readonly parts: readonly Wire.Part[];
}

/** A message of the wire, in this project's words. */
export function decodeMessage(raw: Wire.Message): Message {
  const { id, sessionID: sessionId, agent } = raw;
  const createdAtMs = raw.time?.created ?? 0;
  if (raw.role === 'user') {
    const { model } = raw;
    return {
      role: 'user',
      id,
      sessionId,
      createdAtMs,
      ...(agent !== undefined && { agent }),
      ...(model && { model: `${model.providerID}/${model.modelID}` }),
      raw,
    };
  }
  return decodeAnswer(raw, { id, sessionId, agent, createdAtMs });
}

function decodeAnswer(
  raw: Wire.AssistantMessage,
  common: Pick<AssistantMessage, 'id' | 'sessionId' | 'createdAtMs'> & { readonly agent: string },
): AssistantMessage {
  const { parentID, time, finish, error, providerID, modelID, tokens, cost } = raw;
  return {
    role: 'assistant',
    ...common,
    parentId: parentID,
    completed: time?.completed !== undefined,
    ...(time?.completed !== undefined && { completedAtMs: time.completed }),
    ...(finish !== undefined && { finish }),
    ...(error && { error: decodeTurnError(error) }),
    providerId: providerID,
    model: `${providerID}/${modelID}`,
    tokens: decodeTokens(tokens),
    costUsd: cost ?? 0,
    ...(raw.summary === true && { summary: true }),
    raw,
  };
}

function decodeTokens(tokens: Partial<Wire.AssistantMessage['tokens']> | undefined): AssistantMessage['tokens'] {
  const { input = 0, output = 0, reasoning = 0, cache } = tokens ?? {};
  return { input, output, reasoning, cacheRead: cache?.read ?? 0, cacheWrite: cache?.write ?? 0 };
}

/** A part of the wire, in this project's words. */
export function decodePart(raw: Wire.Part): Part {
  const base = { id: raw.id, messageId: raw.messageID, sessionId: raw.sessionID, raw };
  switch (raw.type) {
    case 'text': {
      const synthetic = raw.synthetic === true || raw.ignored === true;
      return {
        ...base,
        type: 'text',
        text: raw.text,
        ended: raw.time === undefined || raw.time.end !== undefined,
        ...(synthetic && { synthetic }),
      };
    }
    case 'reasoning':
      return { ...base, type: 'reasoning', text: raw.text, ended: raw.time === undefined || raw.time.end !== undefined };
    case 'tool':
      return decodeTool(raw);
    case 'file': {
      const { mime, url, filename } = raw;
      return { ...base, type: 'file', mime, url, ...(filename !== undefined && { filename }) };
    }
    case 'step-start':
      return { ...base, type: 'step', ...(raw.snapshot !== undefined && { snapshot: raw.snapshot }) };
    case 'step-finish':
      return { ...base, type: 'step_end', ...(raw.snapshot !== undefined && { snapshot: raw.snapshot }) };
    case 'patch':
      return { ...base, type: 'patch', files: raw.files };
    case 'compaction':
      return { ...base, type: 'compaction' };
    default:
      return { ...base, type: 'other' };
  }
}

function decodeTool(raw: Wire.ToolPart): ToolPart {
  const { id, messageID, sessionID, callID, tool, state } = raw;
  const exit = 'metadata' in state ? state.metadata?.['exit'] : undefined;
  const time: { readonly start: number; readonly end?: number } | undefined = 'time' in state ? state.time : undefined;
  return {
    id,
    messageId: messageID,
    sessionId: sessionID,
    type: 'tool',
    callId: callID,
    tool,
    ...decodeState(state),
    ...('title' in state && state.title !== undefined && { title: state.title }),
    ...(time && { startedAtMs: time.start, ...(time.end !== undefined && { endedAtMs: time.end }) }),
    ...(mayGoOn(raw) && { mayGoOn: true }),
    ...((typeof exit === 'number' || exit === null) && { exitCode: exit }),
    raw,
  };
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
