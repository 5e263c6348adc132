import { join } from 'node:path';
import type { Taken } from './capture/capture.ts';
import { refuseTooLarge } from './create/copy.ts';
import { isThere } from './capture/stage.ts';
import { create, type Templates } from './create/create.ts';
import { freePorts } from './create/setup.ts';
import { failure, namingRoom } from './errors.ts';
import { readLedger, type LeaseRecord } from './keep/ledger.ts';
import { readBefore, recoverLease } from './keep/recover-lease.ts';
import { removeWorkspace } from './keep/remove.ts';
import { hashOf, slugOf } from './keep/root.ts';
import { Lease } from './lease.ts';
import { closeRun, findOrigin, openRun, toolsEnvironment, type HeldRun } from './open-run.ts';
import { sharedWorkspaces } from './shared.ts';
import { Slots, type Slot } from './slots.ts';
import type { AcquireOptions, Capture, Release, ReleaseOptions, Workspace, Workspaces, WorkspacesOptions } from './types.ts';

/**
 * Opens the workspaces of a run: a place for each task in which no other task and not the user works, and one patch from it.
 * @throws `CONFIG_INVALID`, `GIT_UNUSABLE`, `WORKSPACE_SOURCE_INVALID`, `WORKSPACE_ROOT_UNSAFE`, `WORKSPACE_LOCKED`, `WORKSPACE_TOO_LARGE`
 * @example
 * await using workspaces = await openWorkspaces({ repository: '.' });
 * await using workspace = await workspaces.acquire('fix-login');
 * // ... an agent works in workspace.directory ...
 * console.log((await workspace.capture())?.patch);
 * @public
 */
export async function openWorkspaces(options: WorkspacesOptions): Promise<Workspaces> {
  const { mode, run } = options;
  if (mode !== undefined && !['shared', 'clone', 'worktree', 'copy'].includes(mode)) {
    throw failure('CONFIG_INVALID', `mode: ${mode as string} is none. Use 'shared', 'clone', 'worktree' or 'copy'.`, { option: 'mode' });
  }
  if (run !== undefined && !/^[A-Za-z0-9][A-Za-z0-9-]{0,99}$/.test(run)) {
    throw failure('CONFIG_INVALID', `run: ${run} cannot name a ref. Use letters, digits and '-'.`, { option: 'run' });
  }
  if (mode === 'shared') {
    const { top, source } = await findOrigin(options.repository, options.environment ?? toolsEnvironment(), []);
    return sharedWorkspaces(options, top, source?.prefix ?? '');
  }
  const held = await openRun(options, mode);
  const { leases } = held.content;
  try {
    for (const lease of leases) if (lease.state !== 'removed' && lease.state !== 'kept') await recoverLease(held.run, lease);
    if (held.run.mode === 'copy') await refuseTooLarge(held.run);
  } catch (error) {
    await closeRun(held, leases.length === 0);
    throw error;
  }
  // As it is now that what was left has been brought to its end.
  const content = leases.length === 0 ? held.content : await readLedger(join(held.run.root, 'ledger.jsonl'));
  return new OpenWorkspaces({ ...held, content });
}

class OpenWorkspaces implements Workspaces {
  private readonly slots = new Slots();
  private readonly attempts = new Map<string, number>();
  /** How often each name of a workspace was given. */
  private readonly names = new Map<string, number>();
  private readonly leases = new Set<LeasedWorkspace>();
  private readonly creating = new Set<Promise<unknown>>();
  private readonly templates: Templates = new Map();
  /** Files that captures changed, by key. */
  readonly changedFiles = new Map<string, ReadonlySet<string>>();
  private closing: Promise<void> | undefined;

  private readonly held: HeldRun;

  constructor(held: HeldRun) {
    this.held = held;
    for (const { record } of held.content.leases) {
      this.attempts.set(record.key, Math.max(record.attempt, this.attempts.get(record.key) ?? 0));
      const name = nameOf(held.run.id, record.key, record.attempt);
      this.names.set(name, (this.names.get(name) ?? 0) + 1);
    }
  }

  get run() {
    return this.held.run.id;
  }
  get mode() {
    return this.held.run.mode;
  }
  get root() {
    return this.held.run.root;
  }

  async acquire(key: string, options: AcquireOptions | string = {}): Promise<Workspace> {
    if (this.closing) throw failure('WORKSPACES_CLOSED', 'The workspaces of this run are closed. Open them again.');
    const work = this.make(key, typeof options === 'string' ? { base: options } : options);
    const settled = work.catch(() => {});
    this.creating.add(settled);
    try {
      return await work;
    } finally {
      this.creating.delete(settled);
    }
  }

  async reopen(key: string, attempt: number): Promise<Workspace> {
    if (this.closing) throw failure('WORKSPACES_CLOSED', 'The workspaces of this run are closed. Open them again.');
    const work = this.takeUp(key, attempt);
    const settled = work.catch(() => {});
    this.creating.add(settled);
    try {
      return await work;
    } finally {
      this.creating.delete(settled);
    }
  }

  private async takeUp(key: string, attempt: number): Promise<Workspace> {
    const { run } = this.held;
    const { leases } = await readLedger(join(run.root, 'ledger.jsonl'));
    const known = leases.findLast(({ record }) => record.key === key && record.attempt === attempt);
    if (known?.state !== 'kept' || known.parts.length === 0 || !(await isThere(known.record.path)))
      throw failure('WORKSPACE_GONE', `The workspace of ${key}, attempt ${attempt}, is not there any more.`, { key, attempt });
    const { record, parts } = known;
    const slot = await this.slots.take((taken) => freePorts(run, taken));
    await run.ledger.append({ event: 'leased', id: record.id, parts });
    const lease = new Lease(run, { record, parts, before: await readBefore(run, record.id) });
    for (const old of this.leases) if (old.isOf(record)) this.leases.delete(old);
    return this.handOut(lease, slot);
  }

  private handOut(lease: Lease, slot: Slot): Workspace {
    const { record, parts } = lease.leased;
    const directory = join(record.path, this.held.run.source?.prefix ?? '');
    const workspace = new LeasedWorkspace(this, lease, record, slot, directory, environmentOf(record, slot), parts[0]!.base);
    this.leases.add(workspace);
    return workspace;
  }

  private async make(key: string, { base = 'HEAD', attempt, signal }: AcquireOptions): Promise<Workspace> {
    const { run } = this.held;
    const record = this.newRecord(key, attempt);
    const slot = await this.slots.take((taken) => freePorts(run, taken));
    const environment = environmentOf(record, slot);
    const directory = join(record.path, run.source?.prefix ?? '');
    try {
      await run.ledger.append({ event: 'creating', lease: record });
      const { path, artifacts } = record;
      const made = await create(run, record, base, { key, path, directory, environment, artifacts, signal }, this.templates);
      await run.ledger.append({ event: 'leased', id: record.id, parts: made.parts });
      return this.handOut(new Lease(run, { record, ...made }), slot);
    } catch (error) {
      this.slots.give(slot);
      // What cannot be removed now stands in the ledger as never handed out.
      await removeWorkspace(run, record)
        .then(() => run.ledger.append({ event: 'removed', id: record.id }))
        .catch(() => {});
      throw namingRoom(error, 'WORKSPACE_CREATE_FAILED', run.root);
    }
  }

  private newRecord(key: string, wanted: number | undefined): LeaseRecord {
    const { id: run, root, artifacts, mode } = this.held.run;
    const newest = this.attempts.get(key) ?? 0;
    const attempt = wanted ?? newest + 1;
    this.attempts.set(key, Math.max(attempt, newest));
    const slug = slugOf(key);
    const name = nameOf(run, key, attempt);
    const again = this.names.get(name) ?? 0;
    this.names.set(name, again + 1);
    // An attempt is made again whose first place nobody has come to work in; that one may still be there.
    const id = again === 0 ? name : `${name}-${again + 1}`;
    return {
      id,
      key,
      attempt,
      mode,
      path: join(root, 'workspaces', id),
      artifacts: join(artifacts, slug, String(attempt)),
      ref: `refs/ocm/${run}/${slug}/${attempt}`,
    };
  }

  /** A workspace was removed, or stays for somebody to look at: no task works there any more, so its slot is free. */
  leave(workspace: LeasedWorkspace, slot: Slot | undefined, isRemoved: boolean): void {
    if (slot) this.slots.give(slot);
    if (isRemoved) this.leases.delete(workspace);
  }

  close(): Promise<void> {
    this.closing ??= this.finish();
    return this.closing;
  }

  private async finish(): Promise<void> {
    await Promise.all(this.creating);
    const ends = await Promise.allSettled([...this.leases].map((workspace) => workspace.end()));
    // Some that were kept before may have been taken up, and removed.
    const { leases } = await readLedger(join(this.held.run.root, 'ledger.jsonl'));
    const kept = leases.some(({ state }) => state !== 'removed');
    await closeRun(this.held, this.leases.size === 0 && !kept);
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed) throw failed.reason;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function environmentOf({ key, path }: LeaseRecord, { number, portBase }: Slot): Readonly<Record<string, string>> {
  return { OCM_TASK_ID: key, OCM_SLOT: String(number), OCM_PORT_BASE: String(portBase), OCM_WORKSPACE: path };
}

/** In a repository worktrees go by this name, so no other run may have it. */
function nameOf(run: string, key: string, attempt: number): string {
  return `${slugOf(key).slice(0, -9)}-${hashOf(run, key)}-${attempt}`;
}

class LeasedWorkspace implements Workspace {
  private readonly owner: OpenWorkspaces;
  private readonly lease: Lease;
  private readonly record: LeaseRecord;
  private readonly place: Slot;
  private isLeft = false;
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly baseCommit: string;

  constructor(
    owner: OpenWorkspaces,
    lease: Lease,
    record: LeaseRecord,
    place: Slot,
    directory: string,
    environment: Readonly<Record<string, string>>,
    baseCommit: string,
  ) {
    this.owner = owner;
    this.lease = lease;
    this.record = record;
    this.place = place;
    this.directory = directory;
    this.environment = environment;
    this.baseCommit = baseCommit;
  }

  /** Whether it has this place. */
  isOf({ id }: LeaseRecord): boolean {
    return this.record.id === id;
  }
  get key() {
    return this.record.key;
  }
  get attempt() {
    return this.record.attempt;
  }
  get mode() {
    return this.record.mode;
  }
  get path() {
    return this.record.path;
  }
  get slot() {
    return this.place.number;
  }

  async capture(): Promise<Capture> {
    return this.told(await this.lease.capture());
  }

  private told(capture: Taken['capture']): Capture {
    const files = new Set(capture.files.flatMap(({ path, from }) => (from === undefined ? [path] : [path, from])));
    const others = [...this.owner.changedFiles].filter(([key, theirs]) => key !== this.key && [...files].some((file) => theirs.has(file)));
    this.owner.changedFiles.set(this.key, files);
    return { ...capture, overlapsWith: others.map(([key]) => key) };
  }

  async release(options?: ReleaseOptions): Promise<Release> {
    const release = await this.lease.release(options);
    if (!this.lease.isFinal) return release;
    this.owner.leave(this, this.isLeft ? undefined : this.place, release.removed);
    this.isLeft = true;
    return release;
  }

  /** At the end of the run: what changed since its capture is captured again. */
  async end(): Promise<void> {
    if (this.lease.isFinal) return;
    const { reason } = await this.release();
    if (reason !== 'changed') return;
    await this.capture();
    await this.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}
