import type { AssistantMessage, MessageWithParts, Part, UserMessage } from '../messages.ts';
import { BackgroundWork, openWork, workToldBy } from './background.ts';
import { compactionPart, contentParts, endParts, filePart, stepPart, textPart, toolPart } from './parts.ts';
import { decodeAnswer, decodeTokens, endOf, modelName } from './shapes.ts';
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
 * the answer. A summary that failed is left out: opencode keeps it and has no use for it.
 */
export function decodeHistory(messages: readonly WireMessage[], place: HistoryPlace): MessageWithParts[] {
  const { sessionId } = place;
  const unended = unendedAnswer(messages);
  const decoded: MessageWithParts[] = [];
  let parentId = '';
  /** Of the execution that is looked at. */
  let answer: AssistantMessage | undefined;
  /** Whether it is one of a turn: a summary is one, too. */
  let isOfTurn = false;
  const work = new BackgroundWork();
  /** An answer that broke off: opencode asks the model to go on with it, in a message of its own. */
  let brokenOff: string | undefined;
  let { cause } = place;
  for (const wire of messages) {
    if (wire.type === 'user') {
      parentId = wire.id;
      answer = undefined;
      isOfTurn = true;
      ({ cause } = place);
      decoded.push(promptOf(wire, sessionId));
    } else if (wire.type === 'assistant') {
      answer = decodeAnswer(wire, { sessionId, parentId: parentId || wire.id, isWhole: wire !== unended, continues: brokenOff });
      brokenOff = wire.error && wire.retry ? wire.id : undefined;
      decoded.push({ info: answer, parts: partsOf(wire, place, answer.completed) });
    } else if (wire.type === 'synthetic') {
      answer = undefined;
      isOfTurn = true;
    } else if (wire.type === 'shell') {
      decoded.push(...shellTurn(wire, sessionId));
    } else if (wire.type === 'compaction' && wire.status === 'failed') {
      // Without the room that it was to make, the model cannot be asked.
      cause = wire.error ? decodeTurnError(wire.error).message : cause;
    } else if (wire.type === 'compaction') {
      decoded.push(...compactionOf(wire, sessionId));
    } else if (wire.type === 'idle') {
      const isEndOfTurn = parentId !== '' && (isOfTurn || work.open.size > 0);
      // A step that ended with tool calls is no end of a turn that failed behind it.
      const isStep = wire.outcome === 'failed' && answer?.completed === true && answer.finish === 'tool-calls';
      // What was to answer the end of work in the background may not have begun.
      const ended = isOfTurn && !isStep ? answer : undefined;
      const end = isEndOfTurn ? endWithoutAnswer(wire, { sessionId, parentId, cause }, ended) : undefined;
      // A shell line may stand behind the answer: it works beside a turn.
      const at = ended ? decoded.findLastIndex(({ info }) => info === ended) : -1;
      if (end && at >= 0) decoded[at] = { info: end, parts: decoded[at]!.parts };
      else if (end) decoded.push({ info: end, parts: [] });
      isOfTurn = false;
    }
    if (wire.type === 'user' || wire.type === 'idle') brokenOff = undefined;
    work.see(wire);
  }
  return decoded;
}

/**
 * The newest answer, when it looks like the end of its turn and is none: work in the background has not told its end, or has told it and that is to be
 * answered, or opencode is to ask the model again after a failure. It would be so if its server had not died.
 */
function unendedAnswer(messages: readonly WireMessage[]): WireMessage | undefined {
  const at = messages.findLastIndex(({ type }) => type === 'assistant');
  const answer = messages[at];
  if (answer?.type !== 'assistant' || !isEnd(answer)) return undefined;
  const after = messages.slice(at);
  const told = after.findLastIndex((message) => message.type === 'synthetic' && workToldBy(message.metadata) !== undefined);
  const goesOn = endOf(answer).error !== undefined || told !== -1;
  const isRepeated = goesOn && !after.slice(Math.max(told, 0)).some(({ type }) => type === 'idle');
  return isRepeated || openWork(messages).size > 0 ? answer : undefined;
}

/** The execution is over with it: the model has said that it is done, or it failed or was aborted. */
export function isEnd({ finish, error }: Pick<WireAssistant, 'finish' | 'error'>): boolean {
  return error !== undefined || (finish !== undefined && finish !== 'tool-calls');
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

/** The request for a summary, and the summary as its answer. */
function compactionOf(raw: WireOf<'compaction'>, sessionId: string): MessageWithParts[] {
  const request: MessageWithParts = { info: userMessage(raw, sessionId), parts: [compactionPart({ sessionId, messageId: raw.id }, raw)] };
  return raw.status === undefined || raw.status === 'running' ? [request] : [request, summaryOf(raw, sessionId)];
}

/** A summary that was made, or why it was not. */
export function summaryOf(raw: WireOf<'compaction'>, sessionId: string): MessageWithParts {
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
    providerId: raw.model?.providerID ?? '',
    model: modelName(raw.model),
    tokens: decodeTokens(raw.tokens),
    costUsd: raw.cost ?? 0,
    ...(raw.status === 'completed' && { finish: 'stop' }),
    ...(raw.status === 'failed' && { error: decodeTurnError(raw.error ?? {}) }),
    summary: true,
    raw,
  };
  const text = raw.summary ?? raw.text;
  const place = { sessionId, messageId: answerId };
  return { info, parts: text === undefined ? [] : [textPart(place, 0, { text, ended: true, raw })] };
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
