import { open, readFile, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { failure } from '../errors.ts';
import type { Store } from '../git/source.ts';
import type { Part } from '../run.ts';
import type { WorkspaceMode } from '../types.ts';

/** What a lease is from its first moment on. */
export interface LeaseRecord {
  /** Name of its directory; no other lease of any run has it. */
  readonly id: string;
  readonly key: string;
  readonly attempt: number;
  readonly mode: WorkspaceMode;
  readonly path: string;
  /** Where patch and logs go. */
  readonly artifacts: string;
  /** `refs/ocm/<run>/<slug>-<8 hex of key>/<attempt>`. */
  readonly ref: string;
}

/**
 * One line of the ledger. Each is on the disk before what it tells is done, so it decides what may be removed after a crash:
 * `store`: the store has pins of this run. `creating`: nobody has worked there. `leased`: somebody may have. `captured`: the ref exists. `removing`: everything is safe, and the
 * directory lies in the trash. `found`: something beside the workspaces that we did not make; it stays. `removed`, `kept`: final.
 */
export type LedgerEntry =
  | { readonly event: 'opened'; readonly run: string; readonly repository: string; readonly mode: WorkspaceMode }
  | { readonly event: 'store'; readonly store: Store }
  | { readonly event: 'creating'; readonly lease: LeaseRecord }
  | { readonly event: 'found'; readonly lease: LeaseRecord }
  | { readonly event: 'leased'; readonly id: string; readonly parts: readonly Part[] }
  | { readonly event: 'captured'; readonly id: string; readonly commit: string; readonly tree: string }
  | { readonly event: 'removing' | 'removed'; readonly id: string }
  | { readonly event: 'kept'; readonly id: string; readonly reason: string };

/** An append-only file of which every line is synced before `append` resolves. */
export class Ledger {
  private last: Promise<void> = Promise.resolve();

  private readonly path: string;
  private readonly file: FileHandle;
  private readonly inode: number;

  private constructor(path: string, file: FileHandle, inode: number) {
    this.path = path;
    this.file = file;
    this.inode = inode;
  }

  static async open(path: string): Promise<Ledger> {
    const file = await open(path, 'a', 0o600);
    try {
      const { ino, size } = await file.stat();
      await syncDirectory(dirname(path));
      // A line that a crash cut off ends here.
      if (size > 0) await file.write('\n');
      return new Ledger(path, file, ino);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** @throws `WORKSPACE_GONE` when somebody has removed the file: what is written into it then is written nowhere */
  append(entry: LedgerEntry): Promise<void> {
    const written = this.last.then(() => this.write(`${JSON.stringify({ ...entry, at: new Date().toISOString() })}\n`));
    this.last = written.catch(() => {});
    return written;
  }

  /** @throws `WORKSPACE_GONE` when somebody has removed the directory of the run */
  async refuseGone(): Promise<void> {
    const there = await stat(this.path).catch(() => undefined);
    if (there?.ino !== this.inode) throw failure('WORKSPACE_GONE', `${this.path} was removed while this run used it.`, { path: this.path });
  }

  private async write(line: string): Promise<void> {
    await this.refuseGone();
    await this.file.write(line);
    await this.file.datasync();
  }

  async close(): Promise<void> {
    await this.last;
    await this.file.close();
  }
}

/** A new file is there after a power failure only when its directory was synced too. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** A lease as the ledger knows it. */
export interface LedgerLease {
  readonly record: LeaseRecord;
  readonly state: Exclude<LedgerEntry['event'], 'opened' | 'store' | 'found'>;
  readonly parts: readonly Part[];
  readonly captured: { readonly commit: string; readonly tree: string } | undefined;
  readonly reason: string | undefined;
}

export interface LedgerContent {
  readonly opened: Extract<LedgerEntry, { event: 'opened' }> | undefined;
  readonly leases: readonly LedgerLease[];
  readonly stores: readonly Store[];
}

/** Reads a ledger; a line that is not whole was never true. */
export async function readLedger(path: string): Promise<LedgerContent> {
  let opened: LedgerContent['opened'];
  const leases = new Map<string, LedgerLease>();
  const stores: Store[] = [];
  for (const entry of entriesIn(await readFile(path, 'utf8').catch(() => ''))) {
    if (entry.event === 'opened') opened ??= entry;
    else if (entry.event === 'store') stores.push(entry.store);
    else if (entry.event === 'creating' || entry.event === 'found') leases.set(entry.lease.id, beginning(entry));
    else {
      const before = leases.get(entry.id);
      if (before) leases.set(entry.id, following(before, entry));
    }
  }
  return { opened, leases: [...leases.values()], stores };
}

function beginning({ event, lease }: Extract<LedgerEntry, { event: 'creating' | 'found' }>): LedgerLease {
  const isFound = event === 'found';
  return {
    record: lease,
    state: isFound ? 'kept' : 'creating',
    parts: [],
    captured: undefined,
    reason: isFound ? 'left_behind' : undefined,
  };
}

function following(lease: LedgerLease, entry: Exclude<LedgerEntry, { event: 'opened' | 'store' | 'creating' | 'found' }>): LedgerLease {
  return {
    ...lease,
    state: entry.event,
    ...(entry.event === 'leased' && { parts: entry.parts }),
    ...(entry.event === 'captured' && { captured: { commit: entry.commit, tree: entry.tree } }),
    reason: entry.event === 'kept' ? entry.reason : undefined,
  };
}

function entriesIn(text: string): LedgerEntry[] {
  return text.split('\n').flatMap((line) => {
    try {
      return line === '' ? [] : [JSON.parse(line) as LedgerEntry];
    } catch {
      return [];
    }
  });
}
