import type { AskedQuestion } from '../../policy/types.ts';
import type { AssistantMessage } from '../messages.ts';
import type { PermissionRequest, QuestionRequest, SessionInfo } from '../sessions.ts';
import { permissionNamed } from './names.ts';
import { decodeTurnError } from './turn-error.ts';
import type { WireAssistant, WireForm, WirePermission, WireSession, WireTokens, WireToolState } from './wire.ts';

export function decodeSession(raw: WireSession): SessionInfo {
  const { id, title = '', parentID, location, time, revert } = raw;
  return {
    id,
    title,
    directory: location?.directory ?? '',
    ...(parentID !== undefined && { parentId: parentID }),
    createdAtMs: time?.created ?? 0,
    updatedAtMs: time?.updated ?? time?.created ?? 0,
    ...(revert && { revertedTo: revert.messageID }),
    raw,
  };
}

/** Where an answer stands: the record does not say what it answers. */
export interface AnswerPlace {
  readonly sessionId: string;
  readonly parentId: string;
  /** False for the end of a turn while something that it set to work in the background has not told its end. */
  readonly isWhole: boolean;
  /** The message that broke off, which this one goes on with. */
  readonly continues?: string | undefined;
}

export function decodeAnswer(raw: WireAssistant, { sessionId, parentId, isWhole, continues }: AnswerPlace): AssistantMessage {
  const { id, agent, time, cost, tokens } = raw;
  const completedAtMs = isWhole ? time?.completed : undefined;
  const { finish, error } = endOf(raw);
  return {
    role: 'assistant',
    id,
    sessionId,
    parentId,
    createdAtMs: time?.created ?? 0,
    completed: completedAtMs !== undefined,
    ...(completedAtMs !== undefined && { completedAtMs }),
    ...(agent !== undefined && { agent }),
    providerId: raw.model?.providerID ?? '',
    model: modelName(raw.model),
    tokens: decodeTokens(tokens),
    costUsd: cost ?? 0,
    ...(finish !== undefined && { finish }),
    ...(error && { error: decodeTurnError(error) }),
    ...(continues !== undefined && { continues }),
    raw,
  };
}

export function modelName(model: WireAssistant['model']): string {
  return model ? `${model.providerID}/${model.id}` : '';
}

/**
 * Whoever rejects a permission request without a word, or a question, ends the turn: opencode closes its step as one that was broken off. That is
 * no abort: the step ended with its tool calls, and no other follows. No entry of the history tells that end.
 */
export function endOf({ finish, error, content }: WireAssistant): Pick<WireAssistant, 'finish' | 'error'> {
  if (!error) return finish === undefined ? {} : { finish };
  if (error.type === 'aborted' && (content ?? []).some((one) => one.type === 'tool' && wasDeclined(one.state)))
    return { finish: 'tool-calls' };
  // With an error, opencode's finish reason says no more than that.
  return { error };
}

/** A tool that was not run because somebody declined it, or its question. */
function wasDeclined({ status, error }: WireToolState): boolean {
  return status === 'error' && error?.type === 'aborted' && /declined|dismissed|cancelled by the user/i.test(error.message ?? '');
}

export function decodeTokens(tokens: WireTokens | undefined): AssistantMessage['tokens'] {
  const { input = 0, output = 0, reasoning = 0, cache } = tokens ?? {};
  return { input, output, reasoning, cacheRead: cache?.read ?? 0, cacheWrite: cache?.write ?? 0 };
}

export function decodePermission(raw: WirePermission, directory?: string): PermissionRequest {
  const { id, sessionID, action, resources = [], save = [], metadata = {}, source } = raw;
  const tool = toolOf(source?.messageID, source?.id);
  return {
    kind: 'permission',
    id,
    sessionId: sessionID,
    ...(directory !== undefined && { directory }),
    permission: permissionNamed(action),
    patterns: resources,
    metadata: { ...editOf(metadata), ...metadata },
    always: save,
    ...(tool && { tool }),
    raw,
  };
}

/** Questions are forms in opencode 2: a field for each question. */
export function decodeQuestion(raw: WireForm, directory?: string): QuestionRequest {
  const { id, sessionID, metadata, fields = [] } = raw;
  const tool = toolOf(metadata?.tool?.messageID, metadata?.tool?.id);
  return {
    kind: 'question',
    id,
    sessionId: sessionID,
    ...(directory !== undefined && { directory }),
    questions: fields.map(decodeAsked),
    ...(tool && { tool }),
    raw,
  };
}

/** What an edit asks for, under the names that policies know. */
function editOf(metadata: Readonly<Record<string, unknown>>): { readonly filepath?: string; readonly diff?: string } {
  const [first] = (metadata['files'] ?? []) as readonly { readonly file?: string; readonly patch?: string }[];
  return { ...(first?.file !== undefined && { filepath: first.file }), ...(first?.patch !== undefined && { diff: first.patch }) };
}

function decodeAsked({ title, description, type, options = [], custom }: NonNullable<WireForm['fields']>[number]): AskedQuestion {
  return {
    question: description ?? title ?? '',
    ...(title !== undefined && { header: title }),
    options: options.map(({ label }) => label),
    choices: options.map(({ label, description: meaning = '' }) => ({ label, description: meaning })),
    ...(type === 'multiselect' && { multiple: true }),
    ...(custom !== undefined && { custom }),
  };
}

function toolOf(
  messageId: string | undefined,
  callId: string | undefined,
): { readonly messageId: string; readonly callId: string } | undefined {
  return messageId === undefined || callId === undefined ? undefined : { messageId, callId };
}
