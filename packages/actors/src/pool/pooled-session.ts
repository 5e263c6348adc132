import { OpencodeManagerError, type CallOptions, type OpencodeServer, type Session } from '@opencode-manager/core';
import type { SessionHost } from '../session/session-host.ts';
import type { Task, TaskResult } from '../task/types.ts';
import type { PooledSession } from './types.ts';

interface TurnOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export interface PooledSessionParts {
  readonly host: SessionHost;
  readonly server: OpencodeServer;
  /** Queues a task that is bound to this session. */
  readonly submit: (task: Task, options: { readonly signal?: AbortSignal }) => Promise<TaskResult>;
  readonly release: () => void;
  /** Takes the session out of the pool. */
  readonly forget: () => void;
}

/**
 * A lent session. Turns pass through its actor; what reads or changes the session otherwise goes to core's own
 * `Session`, in line with the turns where opencode would refuse it in between.
 */
export function createPooledSession({ host, server, submit, release, forget }: PooledSessionParts): PooledSession {
  let lent = true;
  let found: Promise<Session> | undefined;
  const session = () => (found ??= server.getSession(host.id, { directory: host.directory }));
  const inLine = <Result>(job: (session: Session) => Promise<Result>) => host.enqueue(async () => job(await session()));

  /** A session that was given back belongs to somebody else. */
  const assertLent = () => {
    if (lent) return;
    throw new OpencodeManagerError('SESSION_BUSY', `Session ${host.id} was released; take one with createSession() or getIdleSession().`);
  };
  const run = async (task: Omit<Task, 'directory'>, options: { readonly signal?: AbortSignal } = {}) => {
    assertLent();
    return submit(task, options);
  };
  const turn = (task: Task, { timeoutMs, signal }: TurnOptions = {}) =>
    run({ ...task, ...(timeoutMs !== undefined && { timeoutMs }) }, signal ? { signal } : {});

  const giveBack = (how: () => void) => {
    if (!lent) return;
    lent = false;
    how();
  };

  async function abort(options: CallOptions = {}): Promise<void> {
    if (host.taskId === null) return (await session()).abort(options);
    const over = host.untilRest();
    host.abort();
    await over;
    if (host.state === 'dead') throw new OpencodeManagerError('ABORT_UNCONFIRMED', `Session ${host.id} did not become idle after an abort. Do not use it again.`);
  }

  return {
    id: host.id,
    directory: host.directory,
    run,
    prompt: (text, options) => turn({ prompt: text }, options),
    executeCommand: (name, args = '', options) => turn({ command: `${name} ${args}`.trim() }, options),
    executeShell: (command, options) => turn({ shell: command }, options),
    revertMessage: (messageId, options) => inLine((one) => one.revertMessage(messageId, options)),
    unrevert: (options) => inLine((one) => one.unrevert(options)),
    summarize: (model, options) => inLine((one) => one.summarize(model, options)),
    abort,
    messages: async (query, options) => (await session()).messages(query, options),
    unread: async (options) => (await session()).unread(options),
    todos: async (options) => (await session()).todos(options),
    diff: async (messageId, options) => (await session()).diff(messageId, options),
    children: async (options) => (await session()).children(options),
    rename: async (title, options) => (await session()).rename(title, options),
    getState: async (options) => (await session()).getState(options),
    isAlive: async (options) => (host.state === 'dead' ? false : server.operations(host.id, host.directory).info(options).then(() => true, () => false)),
    async delete(options) {
      if (host.taskId !== null) await abort(options);
      await (await session()).delete(options);
      giveBack(forget);
    },
    snapshot: () => host.snapshot(),
    release: () => giveBack(release),
  };
}
