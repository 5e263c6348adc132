import { OpencodeManagerError, toManagerError, type SerializedError } from '@opencode-manager/core/errors';
import type { DirectoryUse } from '../pool/directory-use.ts';
import type { PoolSettings } from '../pool/settings.ts';
import type { LeasedWorkspace, ServerPort } from '../ports/index.ts';
import type { LiveTask } from './live-task.ts';
import type { Task, TaskWorkspaceResult } from './types.ts';

/** The workspace that an attempt of a task has. */
export interface LiveWorkspace {
  readonly lease: LeasedWorkspace;
  /** Its real path. */
  readonly directory: string;
  /** Servers that have met the directory. */
  readonly servers: Set<ServerPort>;
  /** What was taken of it last. */
  result: TaskWorkspaceResult | null;
  /** Why there is nothing that was taken, though there may be something to take. */
  problem: string | undefined;
  /** Something of its turn may go on until its server ends. */
  isHeld: boolean;
  /** Nobody of the pool needs it any more. */
  isFree: boolean;
  /** It stays as it is for a later attempt. */
  isParked: boolean;
}

export interface TaskWorkspacesOptions {
  readonly directories: DirectoryUse;
  readonly settings: Pick<PoolSettings, 'workspaces' | 'workspace'>;
}

const unseenEnd = 'the end of its turn was not seen';

/** Refuses a workspace that a task cannot have, instead of letting it work where others do. @throws `TASK_INVALID` */
export function assertWorkspace(
  { id, workspace = 'shared' }: Pick<Task, 'id' | 'workspace'>,
  isLeased: boolean,
  { workspaces }: TaskWorkspacesOptions['settings'],
): void {
  if (workspace === 'shared' || (workspaces && !isLeased)) return;
  const reason = isLeased ? 'a task of a leased session works where its session does' : 'the pool has no workspaces';
  throw new OpencodeManagerError('TASK_INVALID', `Task ${id ?? ''} cannot be run: workspace: ${workspace}: ${reason}. Nothing was sent.`, {
    details: { field: 'workspace' },
  });
}

/** Leases the workspaces of attempts: made before their sessions, captured after their turns, given back when no server knows them. */
export class TaskWorkspaces {
  readonly #options: TaskWorkspacesOptions;
  /** Given up by their tasks, and not given back yet. */
  readonly #left = new Set<LiveWorkspace>();
  readonly #underway = new Set<Promise<void>>();
  /** Places that are being left for a later attempt, by their directories. */
  readonly #parking = new Map<string, Promise<void>>();
  readonly #ended = new WeakSet<ServerPort>();

  constructor(options: TaskWorkspacesOptions) {
    this.#options = options;
  }

  /** Whether a task works in a place of its own. */
  isFor({ task, leased }: LiveTask): boolean {
    const { workspaces, workspace } = this.#options.settings;
    return workspaces !== undefined && leased === undefined && (task.workspace ?? workspace) !== 'shared';
  }

  /** Gives an attempt a place of its own, made of a directory. */
  async acquire(live: LiveTask, directory: string, server: ServerPort, signal: AbortSignal): Promise<string> {
    const { settings } = this.#options;
    const mode = live.task.workspace ?? settings.workspace;
    return this.#enter(live, await settings.workspaces!.acquire(live.id, { directory, mode, signal }), server);
  }

  /** Takes up the place that an earlier attempt has left. @throws `WORKSPACE_GONE` */
  async reopen(live: LiveTask, directory: string, server: ServerPort, signal: AbortSignal): Promise<void> {
    const { settings } = this.#options;
    const mode = live.task.workspace ?? settings.workspace;
    await this.#parking.get(live.continues?.directory ?? '');
    const source = settings.workspaces!;
    if (!source.reopen)
      throw new OpencodeManagerError('WORKSPACE_GONE', 'The source of these workspaces cannot take one up again. Nothing was sent.');
    await this.#enter(live, await source.reopen(live.id, { directory, mode, signal }), server);
  }

  async #enter(live: LiveTask, lease: LeasedWorkspace, server: ServerPort): Promise<string> {
    const { directories } = this.#options;
    try {
      const place = await server.realDirectory(lease.directory);
      live.workspace = {
        lease,
        directory: place,
        servers: new Set(),
        result: null,
        problem: unseenEnd,
        isHeld: false,
        isFree: false,
        isParked: false,
      };
      await this.meet(live, server);
      void directories.enter(place);
      return place;
    } catch (error) {
      live.workspace = undefined;
      await (live.continues && lease.park ? lease.park() : lease.release()).catch(() => undefined);
      throw error;
    }
  }

  /** A server is about to learn of the directory. Gives what it has to be told first, if anything. */
  meet({ workspace }: LiveTask, server: ServerPort): Promise<void> | undefined {
    if (!workspace || workspace.servers.has(server)) return undefined;
    workspace.servers.add(server);
    void server.exited.then(() => this.#noteEnd(server));
    const { environment } = workspace.lease;
    return environment && server.setToolVariables(workspace.directory, environment);
  }

  /** Takes what an attempt did whose turn is over: first what the tools of its sessions left running ends. Gives why it could not be taken. */
  async take({ workspace }: LiveTask, server: ServerPort, sessionIds: Iterable<string>): Promise<SerializedError | undefined> {
    if (!workspace) return undefined;
    await Promise.allSettled([...sessionIds].map((id) => server.endTools(id)));
    try {
      workspace.result = await workspace.lease.capture();
      workspace.problem = undefined;
      return undefined;
    } catch (error) {
      const { code, message } = toManagerError(error);
      workspace.problem = `${code}: ${message}`;
      return toManagerError(error).toJSON();
    }
  }

  /** Its turn is over for the pool, and may go on: what it does is neither taken nor removed before its server has ended. */
  hold({ workspace }: LiveTask, reason?: string): void {
    if (!workspace) return;
    workspace.isHeld = true;
    if (reason !== undefined) workspace.problem = reason;
  }

  /** Whether there may be something to take that nobody has tried to take. */
  isUntaken({ workspace }: LiveTask): boolean {
    return workspace?.problem === unseenEnd;
  }

  /** The end of the pool waits for it. */
  track(work: Promise<void>): void {
    this.#underway.add(work);
    void Promise.allSettled([work]).then(() => this.#underway.delete(work));
  }

  /** The attempt needs it no more. It is given back, or left as it is, when nobody works there any more. */
  leave(live: LiveTask, isParked = false): void {
    const { workspace } = live;
    live.workspace = undefined;
    if (!workspace) return;
    workspace.isParked = isParked && !workspace.isHeld;
    this.#left.add(workspace);
    this.#options.directories.discard(workspace.directory, () => this.#giveBack(workspace));
  }

  /** Resolves when what can be given back now is given back. */
  async settled(): Promise<void> {
    while (this.#underway.size > 0) await Promise.all(this.#underway);
  }

  /** After the end of the pool: what was still in use on a server that has ended is given back. The rest its source keeps. */
  async end(): Promise<void> {
    for (const workspace of this.#left) if (this.#hasEnded(workspace)) this.track(this.#release(workspace));
    await this.settled();
  }

  #hasEnded({ servers }: LiveWorkspace): boolean {
    return [...servers].every((server) => this.#ended.has(server));
  }

  /** What was only waiting for the end of its servers is given back. */
  #noteEnd(server: ServerPort): void {
    this.#ended.add(server);
    for (const workspace of this.#left)
      if (workspace.isFree && workspace.servers.has(server) && this.#hasEnded(workspace)) this.track(this.#release(workspace));
  }

  #giveBack(workspace: LiveWorkspace): Promise<void> {
    workspace.isFree = true;
    const work = this.#forgetAndRelease(workspace);
    this.track(work);
    if (workspace.isParked) this.#notePark(workspace.directory, work);
    return work;
  }

  /** Who takes it up again waits until it is left. */
  #notePark(directory: string, work: Promise<void>): void {
    this.#parking.set(directory, work);
    void Promise.allSettled([work]).then(() => this.#parking.get(directory) === work && this.#parking.delete(directory));
  }

  /** Where a session works that is none of the pool's, it stays. */
  async #forgetAndRelease(workspace: LiveWorkspace): Promise<void> {
    const { directory, servers, isHeld } = workspace;
    if (isHeld && !this.#hasEnded(workspace)) return;
    const forgotten = await Promise.all([...servers].map((server) => this.#isForgotten(server, directory)));
    if (forgotten.every(Boolean)) await this.#release(workspace);
  }

  #isForgotten(server: ServerPort, directory: string): Promise<boolean> {
    if (this.#ended.has(server)) return Promise.resolve(true);
    return server.disposeDirectory(directory).catch(() => this.#ended.has(server));
  }

  async #release(workspace: LiveWorkspace): Promise<void> {
    // The end of a server can come while it forgets the directory.
    if (!this.#left.delete(workspace)) return;
    // What could not be removed stays, and its source knows.
    const { lease, isParked } = workspace;
    await (isParked && lease.park ? lease.park() : lease.release()).catch(() => undefined);
    if (!workspace.lease.environment) return;
    for (const server of workspace.servers) await server.setToolVariables(workspace.directory).catch(() => undefined);
  }
}
