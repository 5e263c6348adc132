import type { CallOptions, Session, SessionState } from '@opencode-manager/core';
import { assertKnownNames, OpencodeManagerError } from '@opencode-manager/core/errors';
import type { SessionHost } from '../session/session-host.ts';
import { assertOffered } from '../task/preflight.ts';
import type { Task, TaskOptions, TaskResult } from '../task/types.ts';
import { leasedPromptOptionNames, leasedTurnOptionNames } from './known-options.ts';
import type { LeasedPromptOptions, PooledSession } from './types.ts';

/** What a lease needs of its pool. */
export interface LeaseOwner {
  /** Queues a task for the session. */
  submit(host: SessionHost, task: Task, options: TaskOptions): Promise<TaskResult>;
  /** Makes a change of the session between its turns; the wait counts. */
  change(host: SessionHost, job: (call: CallOptions) => Promise<void>, options: CallOptions): Promise<void>;
  /** Aborts the turn in flight, if there is one, and resolves when it is over. @throws `ABORT_UNCONFIRMED` */
  abort(host: SessionHost, options: CallOptions): Promise<void>;
  /** Deletes the session; none of its tasks runs any more. @throws `ABORT_UNCONFIRMED` */
  delete(host: SessionHost, options: CallOptions): Promise<void>;
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
    delete: (options = {}) => lease.delete(options),
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
  #state: 'held' | 'deleting' | 'undeleted' | 'deleted' | 'released' = 'held';
  #deletions = 0;

  constructor(host: SessionHost, owner: LeaseOwner) {
    this.#host = host;
    this.#owner = owner;
  }

  assertHeld(): void {
    this.assertMine();
    if (this.#state !== 'held') throw beingDeleted(this.#host.id);
  }

  /** As long as it is not given back, which a deletion under way does not do. */
  assertMine(): void {
    if (this.#state === 'deleted' || this.#state === 'released') throw notHeld(this.#host.id);
  }

  release(): void {
    if (this.#state !== 'held' && this.#state !== 'undeleted') return;
    this.#state = 'released';
    this.#owner.release(this.#host);
  }

  /** May be called again, also when it failed, or be given up by a release. One that was given back is not the caller's to delete. */
  async delete(options: CallOptions): Promise<void> {
    if (this.#state === 'deleted') return;
    this.assertMine();
    this.#state = 'deleting';
    this.#deletions += 1;
    try {
      await this.#owner.delete(this.#host, options);
    } catch (error) {
      if (this.#state === 'deleting' && this.#deletions === 1) this.#state = 'undeleted';
      throw error;
    } finally {
      this.#deletions -= 1;
    }
    if (this.#state !== 'deleting') return;
    this.#state = 'deleted';
    this.#owner.forget(this.#host);
  }
}

function beingDeleted(id: string): OpencodeManagerError {
  return new OpencodeManagerError(
    'SESSION_BUSY',
    `Session ${id} is being deleted, or could not be. Delete it again or release it, and take another with createSession().`,
  );
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
  const run = async (task: Task, options: TaskOptions = {}) => {
    lease.assertHeld();
    return owner.submit(host, task, options);
  };
  const turn = async (what: string, names: readonly string[], task: Task, options: LeasedPromptOptions = {}) => {
    assertKnownNames(what, options, names);
    const { signal, permissions, beforeSend, ...choices } = options;
    const beside = { ...(signal && { signal }), ...(permissions !== undefined && { permissions }), ...(beforeSend && { beforeSend }) };
    return run({ ...task, ...choices }, beside);
  };
  return {
    run,
    prompt: (text, options) => turn('prompt()', leasedPromptOptionNames, { prompt: text }, options),
    executeCommand: (name, args = '', options) =>
      turn('executeCommand()', leasedTurnOptionNames, { command: `${name} ${args}`.trim() }, options),
    executeShell: (command, options) => turn('executeShell()', leasedTurnOptionNames, { shell: command }, options),
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
        !seen.has(info.id) && (info.role === 'user' || info.completed);
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
  const between = async (options: CallOptions | undefined, job: (call: CallOptions) => Promise<void>) => {
    lease.assertHeld();
    return owner.change(host, job, options ?? {});
  };
  return {
    revertMessage: async (messageId, given) => {
      const { force, ...options } = given ?? {};
      return between(options, (call) => host.operations.revert(messageId, { ...(force && { force }), ...call }));
    },
    unrevert: (options) =>
      between(options, async (call) => (await host.server.handle.getSession(id, { directory, ...call })).unrevert(call)),
    summarize: (model, options) =>
      between(options, async (call) => {
        // In JavaScript anything may come.
        const wanted: unknown = model;
        const catalogue = await host.server.catalogue(directory, { ...call, withoutCommands: true });
        assertOffered(catalogue, { kind: 'prompt', model: String(wanted) });
        // It ends when nothing is left of it: the next turn of the session comes after it.
        await host.server.handle.operations(id, directory).summarize(model, call);
      }),
  };
}
