import type { CallOptions, Session, SessionState } from '@opencode-manager/core';
import { isManagerError, OpencodeManagerError } from '@opencode-manager/core/errors';
import type { SessionHost } from '../session/session-host.ts';
import type { Task, TaskOptions, TaskResult } from '../task/types.ts';
import type { LeasedPromptOptions, LeasedTurnOptions, PooledSession } from './types.ts';

/** What a lease needs of its pool. */
export interface LeaseOwner {
  /** Queues a task for the session. */
  submit(host: SessionHost, task: Task, options: TaskOptions): Promise<TaskResult>;
  /** Runs a change of the session between its turns. */
  change<Result>(host: SessionHost, job: () => Promise<Result>): Promise<Result>;
  /** Aborts the turn in flight, if there is one, and resolves when it is over. @throws `ABORT_UNCONFIRMED` */
  abort(host: SessionHost, options: CallOptions): Promise<void>;
  /** None of its tasks runs any more; resolves when no turn is in flight. @throws `ABORT_UNCONFIRMED` */
  end(host: SessionHost): Promise<void>;
  forget(host: SessionHost): void;
  release(host: SessionHost): void;
  fork(host: SessionHost, messageId: string | undefined): Promise<PooledSession>;
  /** Turns that wait behind the one in flight. */
  queued(host: SessionHost): number;
}

/** A session that a caller holds. Turns and changes pass through the pool; what only reads goes to the server that has the session now. */
export function createLeasedSession(host: SessionHost, owner: LeaseOwner): PooledSession {
  const lease = new Lease(host, owner);
  return {
    id: host.id,
    directory: host.directory,
    ...turnsOf(host, owner, lease),
    ...readsOf(host, owner, lease),
    ...changesOf(host, owner, lease),
    abort: async (options = {}) => {
      lease.assertMine();
      await owner.abort(host, options);
    },
    isAlive: async (options) => host.state !== 'dead' && host.operations.exists(options),
    delete: (options) => lease.delete(options),
    fork: async (messageId) => {
      lease.assertHeld();
      return owner.fork(host, messageId);
    },
    snapshot: () => host.snapshot(),
    release: () => lease.release(),
  };
}

/** Whether the caller still holds the session: one that was given back belongs to somebody else. */
class Lease {
  readonly #host: SessionHost;
  readonly #owner: LeaseOwner;
  #state: 'held' | 'deleting' | 'over' = 'held';

  constructor(host: SessionHost, owner: LeaseOwner) {
    this.#host = host;
    this.#owner = owner;
  }

  assertHeld(): void {
    if (this.#state !== 'held') throw notHeld(this.#host.id);
  }

  /** As long as it is not given back, which a deletion under way does not do. */
  assertMine(): void {
    if (this.#state === 'over') throw notHeld(this.#host.id);
  }

  release(): void {
    if (this.#state !== 'held') return;
    this.#state = 'over';
    this.#owner.release(this.#host);
  }

  /** May be called again when it failed. */
  async delete(options: CallOptions | undefined): Promise<void> {
    if (this.#state === 'over') return;
    this.#state = 'deleting';
    await this.#owner.end(this.#host);
    await this.#host.operations.delete(options).catch(unlessGone);
    if (this.#state !== 'deleting') return;
    this.#state = 'over';
    this.#owner.forget(this.#host);
  }
}

/** Somebody else has deleted it. */
function unlessGone(error: unknown): void {
  if (!isManagerError(error, 'NOT_FOUND')) throw error;
}

function notHeld(id: string): OpencodeManagerError {
  return new OpencodeManagerError(
    'SESSION_BUSY',
    `Session ${id} was released or deleted; take one with createSession() or getIdleSession().`,
  );
}

function turnsOf(
  host: SessionHost,
  owner: LeaseOwner,
  lease: Lease,
): Pick<PooledSession, 'run' | 'prompt' | 'executeCommand' | 'executeShell'> {
  const run = async (task: Omit<Task, 'directory'>, options: TaskOptions = {}) => {
    lease.assertHeld();
    return owner.submit(host, task, options);
  };
  const turn = (task: Task, { signal, permissions, ...choices }: LeasedPromptOptions & LeasedTurnOptions = {}) =>
    run({ ...task, ...choices }, { ...(signal && { signal }), ...(permissions !== undefined && { permissions }) });
  return {
    run,
    prompt: (text, options) => turn({ prompt: text }, options),
    executeCommand: (name, args = '', options) => turn({ command: `${name} ${args}`.trim() }, options),
    executeShell: (command, options) => turn({ shell: command }, options),
  };
}

type Reads = Pick<PooledSession, 'messages' | 'unread' | 'todos' | 'diff' | 'children' | 'rename' | 'getState'>;

function readsOf(host: SessionHost, owner: LeaseOwner, lease: Lease): Reads {
  const { id, directory } = host;
  const session = (options?: CallOptions): Promise<Session> => host.server.handle.getSession(id, { directory, ...options });
  const messages: Reads['messages'] = (query, options) => host.server.handle.operations(id, directory).messages(query, options);
  /** Messages that were handed out. */
  const seen = new Set<string>();
  return {
    messages,
    async unread(options) {
      const isNew = ({ info }: Awaited<ReturnType<typeof messages>>[number]) =>
        !seen.has(info.id) && (info.role === 'user' || info.time.completed !== undefined);
      const unread = (await messages({}, options)).filter(isNew);
      for (const { info } of unread) seen.add(info.id);
      return unread;
    },
    todos: (options) => host.server.handle.operations(id, directory).todos(options),
    diff: async (messageId, options) => (await session(options)).diff(messageId, options),
    children: (options) => host.server.handle.operations(id, directory).children(options),
    async rename(title, options) {
      lease.assertMine();
      await (await session(options)).rename(title, options);
    },
    getState: async (options): Promise<SessionState> => ({
      ...(await (await session(options)).getState(options)),
      queued: owner.queued(host),
    }),
  };
}

/** opencode refuses these while a turn is in flight: they take their place between the turns of the session. */
function changesOf(host: SessionHost, owner: LeaseOwner, lease: Lease): Pick<PooledSession, 'revertMessage' | 'unrevert' | 'summarize'> {
  const { id, directory } = host;
  const between = async (job: () => Promise<void>) => {
    lease.assertHeld();
    return owner.change(host, job);
  };
  const session = (options?: CallOptions) => host.server.handle.getSession(id, { directory, ...options });
  return {
    revertMessage: (messageId, options) => between(() => host.operations.revert(messageId, options)),
    unrevert: (options) => between(async () => (await session(options)).unrevert(options)),
    summarize: (model, options) => between(async () => (await session(options)).summarize(model, options)),
  };
}
