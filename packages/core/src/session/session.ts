import { isManagerError, OpencodeManagerError } from '../errors/index.ts';
import type { CallOptions } from '../http/index.ts';
import { repositoryRoot } from '../isolation/index.ts';
import type { MessageIds, MessageWithParts } from '../protocol/index.ts';
import type { Catalogue } from '../server/types.ts';
import { awaitTurn } from './await-turn.ts';
import { createTurnQueue } from './turn-queue.ts';
import { assertText, promptParts } from './turn-request.ts';
import type { DirectorySnapshot, Session, SessionOperations, SessionState, TurnCallOptions, TurnRequest, TurnResult } from './types.ts';

/** What a session needs of its server. */
export interface SessionContext {
  readonly snapshots: boolean;
  readonly messageIds: MessageIds;
  snapshot(directory: string, options?: CallOptions): Promise<DirectorySnapshot>;
  catalogue(directory: string, options?: CallOptions): Promise<Catalogue>;
  /** The session object of another session of this server (a fork). */
  sessionOf(id: string, directory: string): Session;
}

/** How long an abort may take until the session is idle, in milliseconds; a tool that ignores SIGTERM needs three seconds. */
const abortTimeoutMs = 6000;

type TurnDraft = { kind: 'prompt'; parts: ReturnType<typeof promptParts> } | { kind: 'command'; name: string; arguments: string } | { kind: 'shell'; command: string };

/** One session with its queue; see {@link Session}. */
export function createSession(context: SessionContext, operations: SessionOperations): Session {
  const { id, directory } = operations;
  const queue = createTurnQueue();
  const cursor = createCursor();
  const readSnapshot = (options?: CallOptions) => context.snapshot(directory, options);

  async function turnOf(draft: TurnDraft, options: TurnCallOptions): Promise<TurnRequest> {
    const { model, agent, system, messageId = context.messageIds.next() } = options;
    await assertKnown(draft, options);
    return {
      ...draft,
      messageId,
      ...(model !== undefined && { model }),
      ...(agent !== undefined && { agent }),
      ...(draft.kind === 'prompt' && system !== undefined && { system }),
    };
  }

  async function assertKnown(draft: TurnDraft, { model, agent, signal }: TurnCallOptions): Promise<void> {
    if (model === undefined && agent === undefined && draft.kind !== 'command') return;
    const known = await context.catalogue(directory, signal ? { signal } : {});
    assertIn('MODEL_UNKNOWN', 'model', model, known.models);
    assertIn('AGENT_UNKNOWN', 'agent', agent, known.agents);
    if (draft.kind === 'command') assertIn('COMMAND_UNKNOWN', 'command', draft.name, known.commands);
  }

  /** Sends a turn; a command or shell line answers only at its end, so its answer is not waited for. */
  async function start(turn: TurnRequest, signal: AbortSignal): Promise<{ failed: Promise<never> }> {
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => undefined);
    const sent = operations.submit(turn, { signal });
    if (turn.kind === 'prompt') await sent;
    else sent.catch((error: unknown) => failed.reject(error as Error));
    return { failed: failed.promise };
  }

  function runTurn(draft: TurnDraft, options: TurnCallOptions): Promise<TurnResult> {
    return withTurnDeadline(options, (signal) =>
      queue.run(async () => {
        const turn = await turnOf(draft, { ...options, signal });
        const startedAtMs = Date.now();
        const { failed } = await start(turn, signal);
        return Promise.race([awaitTurn({ operations, readSnapshot, messageId: turn.messageId, startedAtMs, signal }), failed]);
      }, signal),
    );
  }

  async function whenQuiet<Result>(job: () => Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
    return queue.run(job, signal);
  }

  async function abort(options: CallOptions = {}): Promise<void> {
    const untilMs = Date.now() + abortTimeoutMs;
    await operations.abort(options);
    while (Date.now() < untilMs) {
      const { status } = await readSnapshot(options);
      if (status[id] === undefined) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new OpencodeManagerError('ABORT_UNCONFIRMED', `Session ${id} is still busy ${abortTimeoutMs} ms after an abort. Do not use it again.`, { details: { sessionId: id } });
  }

  async function assertRevertible(messageId: string, options: CallOptions | undefined): Promise<void> {
    assertSnapshots();
    if ((await repositoryRoot(directory)) === undefined) {
      throw new OpencodeManagerError('REVERT_OUTSIDE_GIT', `directory: ${directory} is not in a git repository, so opencode would restore no files. Nothing was changed.`, { details: { directory } });
    }
    await assertMessage(messageId, options);
  }

  function assertSnapshots(): void {
    if (context.snapshots) return;
    throw new OpencodeManagerError('SNAPSHOTS_OFF', "This server runs without snapshots, so opencode would answer and do nothing. Launch it with profile 'interactive'.");
  }

  async function assertMessage(messageId: string, options: CallOptions | undefined): Promise<void> {
    const messages = await operations.messages({}, options);
    if (messages.some(({ info }) => info.id === messageId)) return;
    throw new OpencodeManagerError('MESSAGE_UNKNOWN', `Session ${id} has no message ${messageId}. Take an id from messages().`, { details: { sessionId: id, messageId } });
  }

  return {
    id,
    directory,
    // Input is checked in the async function, so that bad input is a rejection like every other failure.
    prompt: async (prompt, options = {}) => runTurn({ kind: 'prompt', parts: promptParts(prompt) }, options),
    async promptAsync(prompt, options = {}) {
      const parts = promptParts(prompt);
      const accepted = Promise.withResolvers<{ messageId: string }>();
      const turnOver = withTurnDeadline(options, (signal) =>
        queue.run(async () => {
          const turn = await turnOf({ kind: 'prompt', parts }, { ...options, signal });
          await start(turn, signal);
          accepted.resolve({ messageId: turn.messageId });
          await awaitTurn({ operations, readSnapshot, messageId: turn.messageId, startedAtMs: Date.now(), signal });
        }, signal),
      );
      turnOver.catch(accepted.reject);
      return accepted.promise;
    },
    async executeCommand(name, args = '', options = {}) {
      assertText('command', name);
      return runTurn({ kind: 'command', name, arguments: args }, options);
    },
    async executeShell(command, options = {}) {
      assertText('shell line', command);
      return runTurn({ kind: 'shell', command }, options);
    },
    revertMessage: (messageId, options) =>
      whenQuiet(async () => {
        await assertRevertible(messageId, options);
        await operations.revert(messageId, options);
      }, options?.signal),
    unrevert: (options) =>
      whenQuiet(async () => {
        assertSnapshots();
        await operations.unrevert(options);
      }, options?.signal),
    abort,
    async fork(messageId, options) {
      if (messageId !== undefined) await assertMessage(messageId, options);
      const { id: forkId, directory: forkDirectory } = await operations.fork(messageId, options);
      return context.sessionOf(forkId, forkDirectory);
    },
    messages: (query, options) => operations.messages(query, options),
    unread: async (options) => cursor.unreadOf(await operations.messages({}, options)),
    todos: (options) => operations.todos(options),
    async diff(messageId, options) {
      assertSnapshots();
      if (messageId !== undefined) await assertMessage(messageId, options);
      const target = messageId ?? (await operations.messages({}, options)).findLast(({ info }) => info.role === 'user')?.info.id;
      return target === undefined ? [] : operations.diff(target, options);
    },
    children: (options) => operations.children(options),
    async rename(title, options) {
      await operations.rename(title, options);
    },
    async summarize(model, options) {
      assertIn('MODEL_UNKNOWN', 'model', model, (await context.catalogue(directory, options)).models);
      await whenQuiet(() => operations.summarize(model, options), options?.signal);
    },
    getState: async (options) => stateOf(id, await readSnapshot(options), queue.waiting),
    isAlive: (options) =>
      operations.info(options).then(
        () => true,
        () => false,
      ),
    async delete(options) {
      try {
        await abort(options);
        await operations.delete(options);
      } catch (error) {
        if (!isManagerError(error, 'NOT_FOUND')) throw error;
      }
    },
  };
}

/** Remembers which finalised messages were handed out. */
function createCursor() {
  const seen = new Set<string>();
  return {
    unreadOf(messages: readonly MessageWithParts[]): MessageWithParts[] {
      const fresh = messages.filter(({ info }) => !seen.has(info.id) && (info.role === 'user' || info.time.completed !== undefined));
      for (const { info } of fresh) seen.add(info.id);
      return fresh;
    },
  };
}

function stateOf(id: string, { status, permissions, questions }: DirectorySnapshot, queued: number): SessionState {
  const now = status[id] ?? { type: 'idle' as const };
  return {
    status: now.type,
    ...(now.type === 'retry' && { retry: { attempt: now.attempt, message: now.message, nextAtMs: now.next } }),
    pendingPermissions: permissions.filter(({ sessionID }) => sessionID === id),
    pendingQuestions: questions.filter(({ sessionID }) => sessionID === id),
    queued,
  };
}

/** @throws the given code, listing what there is */
export function assertIn(code: 'MODEL_UNKNOWN' | 'AGENT_UNKNOWN' | 'COMMAND_UNKNOWN', field: string, value: string | undefined, known: readonly string[]): void {
  if (value === undefined || known.includes(value)) return;
  const listed = known.slice(0, 20).join(', ') || 'none';
  throw new OpencodeManagerError(code, `${field}: ${value} is unknown. Known: ${listed}${known.length > 20 ? `, and ${known.length - 20} more` : ''}. Nothing was sent.`, {
    details: { field, value },
  });
}

/** Gives a job the signal that ends it at its deadline or with the caller's signal, and names which of them it was. */
async function withTurnDeadline<Result>({ timeoutMs, signal: caller }: TurnCallOptions, job: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const deadline = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const signal = AbortSignal.any([deadline, caller].filter((one) => one !== undefined));
  try {
    return await job(signal);
  } catch (error) {
    if (deadline?.aborted) {
      throw new OpencodeManagerError('TURN_TIMEOUT', `The turn was not over within ${timeoutMs} ms; it goes on until it is aborted.`, { details: { timeoutMs }, cause: error });
    }
    if (caller?.aborted) throw new OpencodeManagerError('REQUEST_ABORTED', 'The caller aborted the wait for a turn; the turn goes on until it is aborted.', { cause: error });
    throw error;
  }
}
