import { isManagerError, OpencodeManagerError } from '../errors/index.ts';
import type { CallOptions } from '../http/index.ts';
import type { Ask, PermissionPolicy } from '../policy/index.ts';
import {
  answersTurn,
  beginsTurn,
  askFacts,
  codeOfTurnError,
  finalAnswer,
  proveTurnEnd,
  type AssistantMessage,
  type MessageWithParts,
  type TurnError,
  type TurnProof,
  type TurnRequest,
} from '../protocol/index.ts';
import { AskDesk, type AskContext } from './ask-desk.ts';
import { descendantsOf, isInFamily, type FamilyContext } from './family.ts';
import { pause } from './pause.ts';
import { turnResult } from './turn-result.ts';
import type { DirectorySnapshot, ErrorWatch, SessionOperations, TurnResult } from './types.ts';

/** What waiting for a turn needs of the server. */
export interface WatchContext extends AskContext, FamilyContext {
  snapshot(directory: string, options?: CallOptions): Promise<DirectorySnapshot>;
  /** How long an idle session may have no answer to our message, in milliseconds; 30 s when absent. */
  readonly silenceMs?: number;
}

/** What became of the request that sent the turn. */
export interface Submission {
  /** The server has answered: a prompt was accepted, a command or a shell line is over. */
  answered: boolean;
  /** The server refused it. */
  error?: unknown;
}

export interface TurnWatch {
  readonly operations: SessionOperations;
  readonly messageId: string;
  readonly kind: TurnRequest['kind'];
  readonly emptyAnswer: 'allow' | 'refuse';
  readonly permissions: PermissionPolicy;
  readonly submission: Submission;
  readonly startedAtMs: number;
  readonly abortRequested: () => boolean;
  /** Hears why the turn does not begin, where it may not. */
  readonly errors: ErrorWatch | undefined;
  readonly signal: AbortSignal;
}

/** First and longest wait between two reads of a turn's state, in milliseconds. */
const pollMs = { first: 40, longest: 500, growth: 1.4 } as const;

/** Newest messages that are read while waiting; a turn with more steps is read whole at its end. */
const recentMessages = 20;

/** A prompt was seen to begin 2.7 s after it was accepted: an idle session without an answer says nothing before that. */
const defaultSilenceMs = 30_000;

/**
 * Reads the server's state until a turn is proven over, and answers its asks meanwhile. Sessions of one directory share the
 * reads of status and asks. A session whose status is absent is idle; messages are read only then, so a long turn costs one
 * small read a poll.
 */
export async function awaitTurn(context: WatchContext, watch: TurnWatch): Promise<TurnResult> {
  const desk = new AskDesk(context, watch.permissions, watch.operations.directory);
  try {
    return await follow(context, watch, desk);
  } catch (error) {
    // What the request itself was answered is told as it is.
    throw isManagerError(error, 'NOT_FOUND') && error !== watch.submission.error ? deleted(watch, error) : error;
  } finally {
    desk.close();
  }
}

async function follow(context: WatchContext, watch: TurnWatch, desk: AskDesk): Promise<TurnResult> {
  const { operations, signal, submission } = watch;
  let silentSinceMs: number | undefined;
  for (let waitMs: number = pollMs.first; ; waitMs = Math.min(pollMs.longest, waitMs * pollMs.growth)) {
    const { error } = submission;
    if (error !== undefined && !mayHaveEnded(watch, error)) throw error;
    const said = watch.errors?.failure();
    const snapshot = await context.snapshot(operations.directory, { signal });
    for (const ask of await openAsks(context, operations, snapshot, signal)) desk.see(ask);
    desk.assertWorking();
    const idle = snapshot.status[operations.id] === undefined;
    const messages = idle ? await operations.messages({ limit: recentMessages }, { signal }) : [];
    const answer = finalAnswer(
      messages.map(({ info }) => info),
      watch.messageId,
    );
    if (answer) {
      const result = await endOf(context, watch, desk, answer);
      if (result) return result;
    }
    if (error !== undefined && idle && !answer) throw error;
    const isThere = !idle || messages.some(({ info }) => beginsTurn(info, watch.messageId));
    // What is said from now on stands in the messages, too.
    if (isThere) watch.errors?.stop();
    else if (said) throw notBegun(watch, said);
    // A command may work on its template before its message is there; its request answers at the end.
    const silent = idle && !answer && submission.answered;
    silentSinceMs = silent ? (silentSinceMs ?? snapshot.sentAtMs.status) : undefined;
    const silenceMs = context.silenceMs ?? defaultSilenceMs;
    if (silentSinceMs !== undefined && Date.now() - silentSinceMs >= silenceMs) throw noAnswer(watch, messages, silenceMs);
    await pause(waitMs, signal);
  }
}

/** opencode answers 500 to a shell line whose shell was killed by a signal, and has ended its message before. */
function mayHaveEnded({ kind }: TurnWatch, error: unknown): boolean {
  return kind === 'shell' && isManagerError(error, 'SERVER_ERROR');
}

/** Asks of the session and its sub-agents. opencode keeps those of aborted turns; nobody waits for them in an idle session. */
async function openAsks(
  context: FamilyContext,
  root: SessionOperations,
  { status, permissions, questions }: DirectorySnapshot,
  signal: AbortSignal,
): Promise<Ask[]> {
  const asks = [...permissions, ...questions]
    .filter(({ sessionId }) => status[sessionId] !== undefined)
    .map((request) => askFacts(request, root.directory));
  const ours = await Promise.all(asks.map(({ sessionId }) => isInFamily(context, root, sessionId, { signal })));
  return asks.filter((_, index) => ours[index]);
}

/** The result when the turn is proven over, now that its final message was seen; undefined while something is missing. */
async function endOf(context: WatchContext, watch: TurnWatch, desk: AskDesk, answer: AssistantMessage): Promise<TurnResult | undefined> {
  const { operations, messageId, signal } = watch;
  const proof = await prove(context, watch, answer);
  if (!proof) return undefined;
  const messages = await operations.messages({}, { signal });
  const infos = messages.map(({ info }) => info);
  // A step that began and ended meanwhile has left a newer message, which has to be proven itself.
  if (finalAnswer(infos, messageId)?.id !== answer.id) return undefined;
  const { kind, emptyAnswer, startedAtMs } = watch;
  return turnResult({
    messageId,
    kind,
    emptyAnswer,
    startedAtMs,
    messages,
    proof,
    answerId: answer.id,
    asks: desk.records(),
    rejectedQuestion: desk.rejectedQuestion,
    abortRequested: watch.abortRequested(),
  });
}

async function prove(
  context: WatchContext,
  { operations, messageId, signal }: TurnWatch,
  answer: AssistantMessage,
): Promise<TurnProof | undefined> {
  const seenAtMs = Date.now();
  const descendants = await descendantsOf(context, operations, { signal });
  // Idle must be read after the final message was seen: before it, the session may have been between two steps.
  const directories = [...new Set([operations.directory, ...descendants.map(({ directory }) => directory)])];
  const reads = await Promise.all(directories.map((directory) => context.snapshot(directory, { signal })));
  const busy = new Set(reads.flatMap(({ status }) => Object.keys(status)));
  const seen = (part: keyof DirectorySnapshot['sentAtMs']) =>
    ({ atMs: Math.min(...reads.map(({ sentAtMs }) => sentAtMs[part])), source: 'snapshot' }) as const;
  const family = new Set([operations.id, ...descendants.map(({ id }) => id)]);
  const askers = reads.flatMap((read) => askersOf(read));
  const end = proveTurnEnd({
    messageId,
    finalMessage: {
      id: answer.id,
      atMs: seenAtMs,
      source: 'snapshot',
      failed: answer.error !== undefined,
      ...(answer.finish !== undefined && { finish: answer.finish }),
    },
    ...(!busy.has(operations.id) && { idle: seen('status') }),
    ...(descendants.every(({ id }) => !busy.has(id)) && { childrenQuiet: seen('status') }),
    ...(!askers.some((id) => family.has(id) && busy.has(id)) && { noPendingAsk: seen('permissions') }),
  });
  return end.over ? end.proof : undefined;
}

const askersOf = ({ permissions, questions }: DirectorySnapshot): string[] =>
  [...permissions, ...questions].map(({ sessionId }) => sessionId);

/** A read found no session any more. */
function deleted({ operations: { id }, messageId, abortRequested }: TurnWatch, cause: OpencodeManagerError): OpencodeManagerError {
  const [code, what] = abortRequested() ? (['TURN_ABORTED', 'aborted'] as const) : (['TURN_INTERRUPTED', 'not over'] as const);
  return new OpencodeManagerError(code, `The turn was ${what} when session ${id} was deleted.`, { details: { messageId }, cause });
}

function notBegun({ messageId }: TurnWatch, said: TurnError): OpencodeManagerError {
  return new OpencodeManagerError(codeOfTurnError(said), `The turn did not begin: ${said.message}`, { details: { ...said, messageId } });
}

function noAnswer(
  { messageId, abortRequested }: TurnWatch,
  messages: readonly MessageWithParts[],
  silenceMs: number,
): OpencodeManagerError {
  const details = { messageId };
  if (abortRequested()) {
    return new OpencodeManagerError('TURN_ABORTED', 'The turn was aborted before it had an answer.', { details });
  }
  const arrived = messages.some(({ info }) => beginsTurn(info, messageId) || (info.role === 'assistant' && answersTurn(info, messageId)));
  return arrived
    ? new OpencodeManagerError(
        'TURN_INTERRUPTED',
        `The session has been idle for ${silenceMs} ms with our message and without a finished answer to it. Nobody here aborted the turn: look at the server's log, then run it again.`,
        { details },
      )
    : new OpencodeManagerError(
        'TURN_FAILED',
        `The session has been idle for ${silenceMs} ms and our message never appeared in it, although the server took it. Read the session's messages before you send it again.`,
        { details },
      );
}
