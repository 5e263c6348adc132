import type { AssistantMessage, MessageWithParts, Part, UserMessage } from '../messages.ts';
import { openWork } from './background.ts';
import { compactionPart, contentParts, endParts, filePart, stepPart, textPart, toolPart } from './parts.ts';
import { decodeAnswer, decodeTokens, modelName } from './shapes.ts';
import { decodeTurnError } from './turn-error.ts';
import type { WireAssistant, WireMessage } from './wire.ts';

type WireOf<Type extends WireMessage['type']> = Extract<WireMessage, { readonly type: Type }>;

/** Where a history was made. */
export interface HistoryPlace {
  readonly sessionId: string;
  /** Paths of changed files count from here. */
  readonly root: string;
  /** Why its newest turn failed before it asked the model, where that is known. */
  readonly cause?: string | undefined;
}

/**
 * A session's messages in this project's words. opencode 2 keeps one flat list, in which an answer follows what it answers: so the user's message before
 * it is its parent. What ended without an answer (no such model, an interrupt during a retry) is told by an entry of its own, which stands here as
 * the answer.
 */
export function decodeHistory(messages: readonly WireMessage[], place: HistoryPlace): MessageWithParts[] {
  const { sessionId } = place;
  const open = openWork(messages);
  const lastAnswer = messages.findLast(({ type }) => type === 'assistant');
  // Its stream broke off, and opencode was to ask again in a message of its own: the turn has not ended with it.
  const isRepeated =
    lastAnswer?.type === 'assistant' &&
    lastAnswer.retry !== undefined &&
    messages.findLast(({ type }) => type === 'idle' || type === 'assistant') === lastAnswer;
  const decoded: MessageWithParts[] = [];
  let parentId = '';
  let answer: AssistantMessage | undefined;
  for (const wire of messages) {
    if (wire.type === 'user') {
      parentId = wire.id;
      answer = undefined;
      decoded.push(promptOf(wire, sessionId));
    } else if (wire.type === 'assistant') {
      const isWhole = wire !== lastAnswer || (!isRepeated && (open.size === 0 || !isEnd(wire)));
      answer = decodeAnswer(wire, { sessionId, parentId: parentId || wire.id, isWhole });
      decoded.push({ info: answer, parts: partsOf(wire, place, answer.completed) });
    } else if (wire.type === 'shell') {
      decoded.push(...shellTurn(wire, sessionId));
    } else if (wire.type === 'compaction') {
      decoded.push(...compactionOf(wire, sessionId, decoded.findLast(isAnswer)?.info));
    } else if (wire.type === 'idle') {
      const end = parentId === '' ? undefined : endWithoutAnswer(wire, { sessionId, parentId, cause: place.cause }, answer);
      if (end && answer) decoded.splice(-1, 1, { info: end, parts: decoded.at(-1)!.parts });
      else if (end) decoded.push({ info: end, parts: [] });
      // Another execution of the same turn has an answer of its own.
      answer = undefined;
    }
  }
  return decoded;
}

/** The model has said that it is done. */
export function isEnd({ finish, error }: Pick<WireAssistant, 'finish' | 'error'>): boolean {
  return finish !== undefined && finish !== 'tool-calls' && error === undefined;
}

function promptOf(raw: WireOf<'user'>, sessionId: string): MessageWithParts {
  const place = { sessionId, messageId: raw.id };
  const files = (raw.files ?? []).map((file, index) => filePart(place, index, file));
  return { info: userMessage(raw, sessionId), parts: [textPart(place, 0, { text: raw.text, ended: true, raw }), ...files] };
}

export function userMessage(raw: { readonly id: string; readonly time?: { readonly created?: number } }, sessionId: string): UserMessage {
  return { role: 'user', id: raw.id, sessionId, createdAtMs: raw.time?.created ?? 0, raw };
}

function partsOf(raw: WireAssistant, { sessionId, root }: HistoryPlace, completed: boolean): Part[] {
  const place = { sessionId, messageId: raw.id };
  const { snapshot, content = [] } = raw;
  const files = (snapshot?.files ?? []).map((file) => absolute(root, file));
  const isOver = completed || raw.time?.completed !== undefined;
  return [
    stepPart(place, 1, snapshot?.start, raw),
    ...contentParts(place, content, isOver),
    ...(isOver ? endParts(place, snapshot?.end, files, raw) : []),
  ];
}

const nothingSpent = { tokens: decodeTokens(undefined), costUsd: 0 } as const;

/** A shell line asks no model: the user's line, and a call of the shell as its answer. */
export function shellTurn(raw: WireOf<'shell'>, sessionId: string): [MessageWithParts, MessageWithParts] {
  const user = userMessage(raw, sessionId);
  const answerId = `${raw.id}:answer`;
  const { created = 0, completed } = raw.time ?? {};
  const isOver = raw.status !== undefined && raw.status !== 'running' && completed !== undefined;
  const info: AssistantMessage = {
    role: 'assistant',
    id: answerId,
    sessionId,
    parentId: raw.id,
    createdAtMs: created,
    completed: isOver,
    ...(isOver && { completedAtMs: completed }),
    providerId: '',
    model: '',
    ...nothingSpent,
    raw,
  };
  const call = toolPart(
    { sessionId, messageId: answerId },
    {
      id: raw.id,
      name: 'shell',
      state: {
        status: isOver ? 'completed' : 'running',
        input: { command: raw.command },
        content: [{ type: 'text', text: raw.output?.output ?? '' }],
        metadata: { ...(typeof raw.exit === 'number' && { exit: raw.exit }) },
      },
      time: { created, ...(completed !== undefined && { completed }) },
    },
  );
  // A line that was killed leaves none.
  const known = isOver && call.exitCode === undefined ? { ...call, exitCode: null } : call;
  return [
    { info: user, parts: [] },
    { info, parts: [known] },
  ];
}

function isAnswer(one: MessageWithParts): one is MessageWithParts & { readonly info: AssistantMessage } {
  return one.info.role === 'assistant';
}

/** The request for a summary, and the summary as its answer. */
function compactionOf(raw: WireOf<'compaction'>, sessionId: string, before: AssistantMessage | undefined): MessageWithParts[] {
  const request: MessageWithParts = { info: userMessage(raw, sessionId), parts: [compactionPart({ sessionId, messageId: raw.id }, raw)] };
  if (raw.status === undefined || raw.status === 'running') return [request];
  const answerId = `${raw.id}:summary`;
  const createdAtMs = raw.time?.created ?? 0;
  const info: AssistantMessage = {
    role: 'assistant',
    id: answerId,
    sessionId,
    parentId: raw.id,
    createdAtMs,
    completed: true,
    completedAtMs: createdAtMs,
    // One that failed does not say which model it was: the session's.
    providerId: raw.model?.providerID ?? before?.providerId ?? '',
    model: raw.model ? modelName(raw.model) : (before?.model ?? ''),
    tokens: decodeTokens(raw.tokens),
    costUsd: raw.cost ?? 0,
    ...(raw.status === 'completed' && { finish: 'stop' }),
    ...(raw.status === 'failed' && { error: decodeTurnError(raw.error ?? {}) }),
    summary: true,
    raw,
  };
  const text = raw.summary ?? raw.text;
  const place = { sessionId, messageId: answerId };
  return [request, { info, parts: text === undefined ? [] : [textPart(place, 0, { text, ended: true, raw })] }];
}

/** The end of a turn that left no answer, or one that broke off. */
function endWithoutAnswer(
  raw: WireOf<'idle'>,
  { sessionId, parentId, cause }: { readonly sessionId: string; readonly parentId: string; readonly cause: string | undefined },
  answer: AssistantMessage | undefined,
): AssistantMessage | undefined {
  if (raw.outcome !== 'failed' && raw.outcome !== 'interrupted') return undefined;
  if (answer && (answer.completed || (answer.raw as WireAssistant).time?.completed !== undefined)) return undefined;
  const error = decodeTurnError(
    raw.outcome === 'interrupted'
      ? { type: 'aborted', message: 'The turn was interrupted.' }
      : { type: 'unknown', message: cause ?? 'opencode ended the turn before it asked the model, and keeps no reason.' },
  );
  const endedAtMs = raw.time?.created ?? 0;
  const end = { completed: true, completedAtMs: endedAtMs, error } as const;
  if (answer) return { ...answer, ...end };
  return {
    role: 'assistant',
    id: raw.id,
    sessionId,
    parentId,
    createdAtMs: endedAtMs,
    providerId: '',
    model: '',
    ...nothingSpent,
    ...end,
    raw,
  };
}

/** The newest messages, as callers limit them. */
export function newest(messages: readonly MessageWithParts[], limit: number | undefined): MessageWithParts[] {
  return limit === undefined ? [...messages] : messages.slice(-limit);
}

/** opencode tells files relative to the root of the worktree. */
export function absolute(root: string, file: string): string {
  return file.startsWith('/') || root === '' ? file : `${root}/${file}`;
}
