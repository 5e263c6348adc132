import type { CallOptions, Session } from '@opencode-manager/core';
import { OpencodeManagerError } from '@opencode-manager/core/errors';
import type { SessionHost } from '../session/session-host.ts';
import type { Task, TaskResult } from '../task/types.ts';
import type { PooledSession } from './types.ts';

interface TurnOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export interface PooledSessionParts {
  readonly host: SessionHost;
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
export function createPooledSession(parts: PooledSessionParts): PooledSession {
  const { host, release, forget } = parts;
  const lease = new Lease(host);
  let found: { readonly on: typeof host.server.handle; readonly session: Promise<Session> } | undefined;
  const session = () => {
    // Another one after a recovery or a rotation.
    const on = host.server.handle;
    if (found?.on !== on) found = { on, session: on.getSession(host.id, { directory: host.directory }) };
    return found.session;
  };
  const abort = async (options: CallOptions = {}) => (host.taskId === null ? host.operations.settle(options) : abortTurn(host));
  return {
    id: host.id,
    directory: host.directory,
    ...turnsOf(parts, lease),
    ...readsOf(session),
    ...changesOf(host, session),
    abort,
    isAlive: async (options) => host.state !== 'dead' && host.operations.exists(options),
    async delete(options) {
      if (host.taskId !== null) await abortTurn(host);
      await host.operations.delete(options);
      lease.end(forget);
    },
    snapshot: () => host.snapshot(),
    release: () => lease.end(release),
  };
}

/** Whether the caller still holds the session: one that was given back belongs to somebody else. */
class Lease {
  readonly #host: SessionHost;
  #held = true;

  constructor(host: SessionHost) {
    this.#host = host;
  }

  assertHeld(): void {
    if (this.#held) return;
    throw new OpencodeManagerError(
      'SESSION_BUSY',
      `Session ${this.#host.id} was released; take one with createSession() or getIdleSession().`,
    );
  }

  end(how: () => void): void {
    if (!this.#held) return;
    this.#held = false;
    how();
  }
}

function turnsOf({ submit }: PooledSessionParts, lease: Lease): Pick<PooledSession, 'run' | 'prompt' | 'executeCommand' | 'executeShell'> {
  const run = async (task: Omit<Task, 'directory'>, options: { readonly signal?: AbortSignal } = {}) => {
    lease.assertHeld();
    return submit(task, options);
  };
  const turn = (task: Task, { timeoutMs, signal }: TurnOptions = {}) =>
    run({ ...task, ...(timeoutMs !== undefined && { timeoutMs }) }, signal ? { signal } : {});
  return {
    run,
    prompt: (text, options) => turn({ prompt: text }, options),
    executeCommand: (name, args = '', options) => turn({ command: `${name} ${args}`.trim() }, options),
    executeShell: (command, options) => turn({ shell: command }, options),
  };
}

type Reads = Pick<PooledSession, 'messages' | 'unread' | 'todos' | 'diff' | 'children' | 'rename' | 'getState'>;

function readsOf(session: () => Promise<Session>): Reads {
  return {
    messages: async (query, options) => (await session()).messages(query, options),
    unread: async (options) => (await session()).unread(options),
    todos: async (options) => (await session()).todos(options),
    diff: async (messageId, options) => (await session()).diff(messageId, options),
    children: async (options) => (await session()).children(options),
    rename: async (title, options) => (await session()).rename(title, options),
    getState: async (options) => (await session()).getState(options),
  };
}

/** opencode refuses these while a turn is in flight: they take their place in the session's own queue. */
function changesOf(host: SessionHost, session: () => Promise<Session>): Pick<PooledSession, 'revertMessage' | 'unrevert' | 'summarize'> {
  const inLine = <Result>(job: (one: Session) => Promise<Result>) => host.enqueue(async () => job(await session()));
  return {
    revertMessage: (messageId, options) => inLine((one) => one.revertMessage(messageId, options)),
    unrevert: (options) => inLine((one) => one.unrevert(options)),
    summarize: (model, options) => inLine((one) => one.summarize(model, options)),
  };
}

async function abortTurn(host: SessionHost): Promise<void> {
  const over = host.untilRest();
  host.abort();
  await over;
  if (host.state !== 'dead') return;
  throw new OpencodeManagerError('ABORT_UNCONFIRMED', `Session ${host.id} did not become idle after an abort. Do not use it again.`);
}
