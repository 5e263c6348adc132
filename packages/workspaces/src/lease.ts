import { changeSince, isUntouched, takeResult, type Leased, type Taken } from './capture/capture.ts';
import { readRef, setRefs } from './capture/commit.ts';
import { takeHistory } from './capture/history.ts';
import { isThere } from './capture/stage.ts';
import { failure, namingRoom } from './errors.ts';
import { processesIn } from './keep/processes.ts';
import { removeWorkspace } from './keep/remove.ts';
import { scratchOf, type Run } from './run.ts';
import type { Capture, Release, ReleaseOptions } from './types.ts';

/** A lease after its workspace was handed out, in this process or in one that is gone: how its result is taken and its directory removed. */
export class Lease {
  private taken: Taken | undefined;
  private final: Release | undefined;
  private turn: Promise<unknown> = Promise.resolve();

  private readonly run: Run;
  readonly leased: Leased;

  constructor(run: Run, leased: Leased) {
    this.run = run;
    this.leased = leased;
  }

  get isFinal(): boolean {
    return this.final !== undefined;
  }

  /** Nothing of a lease happens at the same time. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.turn.then(work).catch((error: unknown) => {
      throw namingRoom(error, 'WORKSPACE_CAPTURE_FAILED', this.run.root);
    });
    this.turn = done.catch(() => {});
    return done;
  }

  capture(): Promise<Omit<Capture, 'overlapsWith'>> {
    return this.inTurn(async () => (await this.take()).capture);
  }

  private async take(): Promise<Taken> {
    if (this.final?.removed === true) throw failure('WORKSPACE_GONE', `The workspace of ${this.leased.record.key} was released.`);
    this.taken = await takeResult(this.run, this.leased);
    return this.taken;
  }

  release(options: ReleaseOptions = {}): Promise<Release> {
    return this.inTurn(async () => {
      if (this.final?.removed === true) return this.final;
      this.final = undefined;
      const release = await this.decide(options);
      if (release.removed || release.reason === 'keep' || release.reason === 'left_behind') this.final = release;
      return release;
    });
  }

  /** Removed is only what has a ref with the same tree, no process, and nothing that the ref does not hold. */
  private async decide({ keep = false, discardLeftBehind = false }: ReleaseOptions): Promise<Release> {
    const { record } = this.leased;
    await this.run.ledger.refuseGone();
    if (!(await isThere(record.path))) return this.removeGone();
    if (this.taken === undefined && !keep && (await isUntouched(this.run, this.leased))) return this.removeIdle();
    const { standing, capture } = this.taken ?? (await this.take());
    if (keep) return this.keep('keep');
    const processes = await processesIn(record.path);
    if (processes.length > 0) return { removed: false, reason: 'processes', processes };
    const reason = await changeSince(this.run, this.leased, standing);
    if (reason !== undefined) return { removed: false, reason };
    const isHeld = capture.leftBehind.every((left) => left.reason === 'ignored');
    if (!isHeld && !discardLeftBehind) return this.keep('left_behind');
    await this.refuseWithoutRef(capture);
    await this.remove();
    return { removed: true };
  }

  /** Nothing was done there, and nothing needs to be held. */
  private async removeIdle(): Promise<Release> {
    const processes = await processesIn(this.leased.record.path);
    if (processes.length > 0) return { removed: false, reason: 'processes', processes };
    await this.remove();
    return { removed: true };
  }

  private async keep(reason: 'keep' | 'left_behind'): Promise<Release> {
    await this.run.ledger.append({ event: 'kept', id: this.leased.record.id, reason });
    return { removed: false, reason };
  }

  private async refuseWithoutRef({ commit, tree, submodules, ref }: Omit<Capture, 'overlapsWith'>): Promise<void> {
    for (const one of [{ commit, tree, path: '' }, ...submodules]) {
      const part = this.leased.parts.find(({ path }) => path === one.path)!;
      const there = await readRef(this.run, part, ref);
      if (there?.commit === one.commit && there.tree === one.tree) continue;
      throw failure('WORKSPACE_CAPTURE_FAILED', `${ref} of ${part.gitDir} was removed or moved by somebody else. Capture again.`, { ref });
    }
  }

  /** The directory was removed under us: what can still be saved are commits that lie in the user's repository. */
  private async removeGone(): Promise<Release> {
    const { record, parts } = this.leased;
    for (const part of record.mode === 'worktree' ? parts.slice(0, 1) : []) {
      const tree = `${part.base}^{tree}`;
      const { keeper } = await takeHistory(this.run, part, tree, scratchOf(this.run, record));
      if (keeper !== undefined) await setRefs(this.run, part, [[`${record.ref}.agent`, keeper]]);
    }
    await this.remove();
    return { removed: true, reason: 'gone' };
  }

  private async remove(): Promise<void> {
    const { record } = this.leased;
    await this.run.ledger.append({ event: 'removing', id: record.id });
    await removeWorkspace(this.run, record);
    await this.run.ledger.append({ event: 'removed', id: record.id });
  }
}
