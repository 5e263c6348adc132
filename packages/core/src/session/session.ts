import { isManagerError, OpencodeManagerError } from '../errors/index.ts';
import type { CallOptions } from '../http/index.ts';
import type { PermissionPolicy } from '../policy/index.ts';
import type { MessageWithParts } from '../protocol/index.ts';
import { assertInsideGit, assertKnown, assertMessage, assertSnapshots } from './checks.ts';
import { withinDeadline } from './deadline.ts';
import { isInFamily } from './family.ts';
import { pause } from './pause.ts';
import { assertRevertSafe, type RevertContext } from './revert-conflicts.ts';
import { assertText, promptParts } from './prompt-parts.ts';
import { createTurnRunner, type TurnContext, type TurnRunner } from './turn-runner.ts';
import type { DirectorySnapshot, RevertOptions, Session, SessionOperations, SessionState } from './types.ts';

/** What a session needs of its server. */
export interface SessionContext extends TurnContext, RevertContext {
  readonly snapshots: boolean;
  /** The session object of another session of this server (a fork). */
  sessionOf(id: string, directory: string, permissions?: PermissionPolicy): Session;
}

/** How long an abort may take until the session is idle, in milliseconds; a tool that ignores SIGTERM needs three seconds. */
const abortTimeoutMs = 6000;

/** Wait between two looks at an aborted session, in milliseconds. */
const abortPollMs = 50;

/** One session with its queue; see {@link Session}. `permissions` is the policy of turns that name none. */
export function createSession(context: SessionContext, operations: SessionOperations, permissions?: PermissionPolicy): Session {
  const turns = createTurnRunner(context, operations, permissions);
  return {
    id: operations.id,
    directory: operations.directory,
    ...turnMethods(turns),
    ...historyMethods(context, operations, turns, permissions),
    ...lifeMethods(context, operations, turns),
    todos: (options) => operations.todos(options),
    children: (options) => operations.children(options),
  };
}

/** Input is checked in async functions, so that bad input is a rejection like every other failure. */
function turnMethods(turns: TurnRunner): Pick<Session, 'prompt' | 'promptAsync' | 'executeCommand' | 'executeShell'> {
  return {
    prompt: async (prompt, options = {}) => turns.run({ kind: 'prompt', parts: promptParts(prompt) }, options),
    promptAsync: async (prompt, options = {}) => turns.accept({ kind: 'prompt', parts: promptParts(prompt) }, options),
    async executeCommand(name, args = '', options = {}) {
      assertText('command', name);
      return turns.run({ kind: 'command', name, arguments: args }, options);
    },
    async executeShell(command, options = {}) {
      assertText('shell line', command);
      return turns.run({ kind: 'shell', command }, options);
    },
  };
}

type HistoryMethod = 'revertMessage' | 'unrevert' | 'fork' | 'messages' | 'unread' | 'diff' | 'summarize';

function historyMethods(
  context: SessionContext,
  operations: SessionOperations,
  turns: TurnRunner,
  permissions: PermissionPolicy | undefined,
): Pick<Session, HistoryMethod> {
  const unreadOf = createCursor();
  return {
    revertMessage: async (messageId, given) => {
      const { force, ...options } = given ?? {};
      return turns.whenQuiet('The revert', (call) => revert(context, operations, messageId, { ...(force && { force }), ...call }), options);
    },
    unrevert: (options) => {
      const unrevert = async (call: CallOptions) => {
        assertSnapshots(context.snapshots);
        await operations.unrevert(call);
      };
      return turns.whenQuiet('The unrevert', unrevert, options);
    },
    fork: (messageId, options) =>
      withinDeadline('The fork', options, async (call) => {
        const { id, directory } = await operations.fork(messageId, call);
        return context.sessionOf(id, directory, permissions);
      }),
    messages: (query, options) => operations.messages(query, options),
    unread: async (options) => unreadOf(await operations.messages({}, options)),
    diff: (messageId, options) =>
      withinDeadline('The diff', options, async (call) => {
        assertSnapshots(context.snapshots);
        const target = messageId ?? (await operations.messages({}, call)).findLast(({ info }) => info.role === 'user')?.info.id;
        return target === undefined ? [] : operations.diff(target, call);
      }),
    summarize: (model, options) => {
      const summarize = async (call: CallOptions) => {
        assertKnown(await context.catalogue(operations.directory, { ...call, withoutCommands: true }), { model });
        await operations.summarize(model, call);
      };
      return turns.whenQuiet('The summary', summarize, options);
    },
  };
}

async function revert(
  context: SessionContext,
  operations: SessionOperations,
  messageId: string,
  { force = false, ...call }: RevertOptions,
): Promise<void> {
  assertSnapshots(context.snapshots);
  const worktree = assertInsideGit(operations.directory, await context.worktreeOf(operations.directory));
  const messages = await assertMessage(operations, messageId, call);
  if (!force) await assertRevertSafe(context, { operations, messageId, messages, worktree }, call);
  await operations.revert(messageId, call);
}

type LifeMethod = 'abort' | 'rename' | 'getState' | 'isAlive' | 'delete';

function lifeMethods(context: SessionContext, operations: SessionOperations, turns: TurnRunner): Pick<Session, LifeMethod> {
  const { id, directory } = operations;

  async function abort(options: CallOptions): Promise<void> {
    turns.noteAbort();
    await operations.abort(options);
    const untilMs = performance.now() + abortTimeoutMs;
    while (performance.now() < untilMs) {
      const { status } = await context.snapshot(directory, options);
      if (status[id] === undefined) return;
      await pause(abortPollMs, options.signal);
    }
    throw new OpencodeManagerError(
      'ABORT_UNCONFIRMED',
      `Session ${id} is still busy ${abortTimeoutMs} ms after an abort. Do not use it again.`,
      { details: { sessionId: id } },
    );
  }

  return {
    abort: (options) => withinDeadline('The abort', options, abort),
    async rename(title, options) {
      await operations.rename(title, options);
    },
    async getState(options) {
      const snapshot = await context.snapshot(directory, options);
      const asking = new Set([...snapshot.permissions, ...snapshot.questions].map(({ sessionId }) => sessionId));
      const inFamily = await Promise.all(
        [...asking].map(async (asker) => ((await isInFamily(context, operations, asker, options)) ? asker : '')),
      );
      return stateOf(id, new Set(inFamily), snapshot, turns.waiting);
    },
    isAlive: (options) =>
      operations.info(options).then(
        () => true,
        () => false,
      ),
    delete: (options) =>
      withinDeadline('The deletion', options, async (call) => {
        try {
          await abort(call);
          await operations.delete(call);
        } catch (error) {
          if (!isManagerError(error, 'NOT_FOUND')) throw error;
        }
      }),
  };
}

/** Remembers which finalised messages were handed out. */
function createCursor(): (messages: readonly MessageWithParts[]) => MessageWithParts[] {
  const seen = new Set<string>();
  return (messages) => {
    const fresh = messages.filter(({ info }) => !seen.has(info.id) && (info.role === 'user' || info.completed));
    for (const { info } of fresh) seen.add(info.id);
    return fresh;
  };
}

function stateOf(
  id: string,
  family: ReadonlySet<string>,
  { status, permissions, questions }: DirectorySnapshot,
  queued: number,
): SessionState {
  const now = status[id] ?? { type: 'idle' as const };
  return {
    status: now.type,
    ...(now.type === 'retry' && { retry: { attempt: now.attempt, message: now.message, nextAtMs: now.nextAtMs } }),
    pendingPermissions: permissions.filter(({ sessionId }) => family.has(sessionId)),
    pendingQuestions: questions.filter(({ sessionId }) => family.has(sessionId)),
    queued,
  };
}
