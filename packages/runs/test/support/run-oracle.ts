import type { Outcome } from '@opencode-manager/actors';
import type { AttemptEnded, JournalEvent, TaskAdded } from '../../src/journal/events.ts';
import type { ResumePolicy, RunCounts, SourceTask } from '../../src/machine/index.ts';

/** What the rows of a journal must never say. It reads rows alone, and by rules of its own. */
export class RunOracle {
  readonly rows: JournalEvent[] = [];
  readonly #source: ReadonlyMap<string, SourceTask>;
  readonly #infrastructureTries: number;
  /** Deaths of the server that were seen of an attempt, by its token. */
  readonly deaths = new Map<string, number>();

  constructor(source: readonly SourceTask[], infrastructureTries: number) {
    this.#source = new Map(source.map((task) => [task.key, task]));
    this.#infrastructureTries = infrastructureTries;
  }

  /** Tasks that are tried again even when they have succeeded. */
  readonly forced = new Set<string>();
  /** Tokens of attempts that broke off with their manager. */
  readonly orphans = new Set<string>();
  readonly #byKey = new Map<string, JournalEvent[]>();

  of(key: string): readonly JournalEvent[] {
    return this.#byKey.get(key) ?? [];
  }

  /** Rows of a task since it was added last. */
  #round(key: string): JournalEvent[] {
    const rows = this.of(key);
    return rows.slice(rows.findLastIndex(({ type }) => type === 'task.added' || type === 'task.requeued'));
  }

  #ends(rows: readonly JournalEvent[]): AttemptEnded[] {
    return rows.filter((row) => row.type === 'attempt.ended');
  }

  /** The outcome that stays; `skipped`; or undefined while something is to be done. */
  finalOf(key: string): Outcome | 'skipped' | undefined {
    const rows = this.#round(key);
    if (rows.some(({ type }) => type === 'task.skipped')) return 'skipped';
    const ends = this.#ends(rows);
    const final = ends.find((end) => end.final)?.outcome;
    if (final !== undefined || !this.#isCancelled(key) || this.openOf(key) !== undefined) return final;
    return ends.at(-1)?.outcome ?? 'skipped';
  }

  /** A user wants no more of it: what is in flight ends, and nothing follows. */
  #isCancelled(key: string): boolean {
    return this.#round(key).some(({ type }) => type === 'task.cancelled');
  }

  /** Of an attempt that is intended and has no end. */
  openOf(key: string): string | undefined {
    const rows = this.#round(key);
    const intent = rows.findLast((row) => row.type === 'attempt.intended');
    return intent && !this.#ends(rows).some(({ token }) => token === intent.token) ? intent.token : undefined;
  }

  /** Its provider's quota is spent: it may wait for hours, and nobody waits for it. */
  isParked(key: string): boolean {
    // One that is added again waits too: for the reset that its last end told.
    return this.finalOf(key) === undefined && this.#ends(this.of(key)).at(-1)?.outcome === 'quota_exhausted';
  }

  isSuspect(key: string): boolean {
    const ends = this.#ends(this.of(key));
    const last = ends.findLastIndex(({ outcome }) => !['server_lost', 'interrupted', 'aborted'].includes(outcome));
    return ends.slice(last + 1).reduce((sum, { token }) => sum + (this.deaths.get(token) ?? 0), 0) >= 3;
  }

  /** What a manager saw of attempts whose end it could not commit died with it. */
  forgetOpenDeaths(): void {
    const ended = new Set(this.#ends(this.rows).map(({ token }) => token));
    for (const token of this.deaths.keys()) if (!ended.has(token)) this.deaths.delete(token);
  }

  mayStart(key: string): boolean {
    if (this.finalOf(key) !== undefined || this.openOf(key) !== undefined) return false;
    return this.#source.get(key)!.after.every((other) => this.finalOf(other) === 'succeeded');
  }

  append(events: readonly JournalEvent[], policy: ResumePolicy): void {
    for (const event of events) {
      this.#check(event, policy);
      this.rows.push(event);
      if ('key' in event) this.#byKey.set(event.key, [...this.of(event.key), event]);
    }
  }

  #check(event: JournalEvent, policy: ResumePolicy): void {
    if (event.type === 'attempt.intended') {
      const same = this.rows.filter((row) => row.type === 'attempt.intended');
      must(!same.some(({ token }) => token === event.token), `two intents of token ${event.token}`);
      must(
        !same.some(({ key, attempt }) => key === event.key && attempt === event.attempt),
        `two intents of ${event.key} ${event.attempt}`,
      );
      must(this.finalOf(event.key) === undefined, `${event.key} runs again after its end`);
      must(this.openOf(event.key) === undefined, `${event.key} has two attempts at a time`);
    } else if (event.type === 'attempt.accepted') {
      must(this.openOf(event.key) !== undefined, `${event.key} is accepted and was not intended`);
    } else if (event.type === 'task.requeued') {
      must(this.finalOf(event.key) !== undefined, `${event.key} is tried again before its end`);
      must(this.finalOf(event.key) !== 'succeeded' || this.forced.has(event.key), `${event.key} is tried again after its success`);
    } else if (event.type === 'attempt.ended') this.#checkEnd(event);
    else if (event.type === 'task.added') this.#checkAdded(event, policy);
    else if (event.type === 'task.skipped') {
      const blocker = this.finalOf(event.blockedBy);
      must(this.#source.get(event.key)!.after.includes(event.blockedBy), `${event.key} is skipped by a stranger`);
      must(blocker !== undefined && blocker !== 'succeeded', `${event.key} is skipped because of ${event.blockedBy}, which is ${blocker}`);
      must(this.finalOf(event.key) === undefined, `${event.key} is skipped after its end`);
    }
  }

  #checkEnd(event: AttemptEnded): void {
    const { key, attempt, token, outcome, final, counts, error } = event;
    must(!this.#ends(this.of(key)).some((end) => end.attempt === attempt || end.token === token), `two ends of ${key} ${attempt}`);
    const isCancelled = this.#isCancelled(key);
    must(isCancelled || this.finalOf(key) === undefined, `${key} ends after its end`);
    must(!this.#ends(this.#round(key)).some((end) => end.final), `${key} ends after its last end`);
    const tries = this.#ends(this.#round(key)).filter((end) => end.counts === counts).length + 1;
    if (error?.code === 'POISON_TASK') return must(this.isSuspect(key) && (this.deaths.get(token) ?? 0) > 0, `${key} is no poison`);
    const isLost = outcome === 'server_lost' || outcome === 'interrupted';
    must(!isLost || counts !== 'task', `${key} pays for ${outcome}`);
    must(!this.orphans.has(token) || counts === 'none', `${key} pays for the end of its manager`);
    if (['failed', 'stalled', 'timed_out'].includes(outcome)) {
      must(counts === 'task', `${key} ${outcome} counts as ${counts}`);
      must(final === (isCancelled || tries > this.#source.get(key)!.retries), `${key} ${outcome} at try ${tries} has final ${final}`);
    }
    if (counts !== 'infrastructure') return undefined;
    must(isLost, `${key} ${outcome} counts as ${counts}`);
    return must(
      final === (isCancelled || tries > this.#infrastructureTries),
      `${key} ${outcome} at infrastructure try ${tries} has final ${final}`,
    );
  }

  #checkAdded({ key }: TaskAdded, { redo = [], retryErrors }: ResumePolicy): void {
    const before = this.finalOf(key);
    if (before === undefined || before === 'skipped' || redo.includes(key)) return;
    const isLost = before === 'server_lost' || before === 'interrupted';
    // A quota is free again some day; only who knows when does so.
    const hasReset = this.of(key).findLast((row) => row.type === 'attempt.ended')?.result.reset_at !== undefined;
    must(
      isLost || (before === 'quota_exhausted' && hasReset) || (retryErrors !== undefined && before !== 'succeeded'),
      `${key} is added again after it ended as ${before}`,
    );
  }

  /** The counts that the rows give. */
  checkCounts({ total, outcomes, skipped, notStarted }: RunCounts, reason: string): void {
    const told: Record<string, number> = { skipped, not_started: notStarted, ...outcomes };
    const true_: Record<string, number> = { skipped: 0, not_started: 0 };
    for (const key of this.#source.keys()) {
      const final = this.finalOf(key);
      const last = this.openOf(key) === undefined ? this.#ends(this.#round(key)).at(-1)?.outcome : 'interrupted';
      const name = final ?? last ?? 'not_started';
      true_[name] = (true_[name] ?? 0) + 1;
      must(reason !== 'done' || final !== undefined, `the run is done, and ${key} has no end`);
    }
    must(total === this.#source.size, `total is ${total}`);
    must(Object.values(told).reduce((sum, count) => sum + count, 0) === total, `counts do not add up: ${JSON.stringify(told)}`);
    for (const name of new Set([...Object.keys(told), ...Object.keys(true_)]))
      must((told[name] ?? 0) === (true_[name] ?? 0), `${name}: told ${told[name]}, in the journal ${true_[name]}`);
  }
}

export function must(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}
