import type { FinalResult, JournalRow, RunState } from '@opencode-manager/runs/hosts';
import type { RunCounts } from '@opencode-manager/runs/machine';
import type { SimulatedDisk } from './disk.ts';
import type { RunRule, RunViolation } from './oracle.ts';

/** Sees what a run tells, and compares it with the rows that are durable at that moment. */
export class Witness {
  readonly violations: RunViolation[] = [];
  readonly #disk: SimulatedDisk;
  /** Tasks by the outcomes that attempts of theirs have had, by the durable rows. What is told may be older than the newest of them. */
  readonly #tasks = new Map<string, Set<string>>();
  #attempts = 0;
  #read = 0;

  constructor(disk: SimulatedDisk) {
    this.#disk = disk;
  }

  see(rule: RunRule, text: string): void {
    this.violations.push({ rule, text });
  }

  seeLines(rows: readonly JournalRow[]): void {
    for (const { sequence, event } of rows)
      if (JSON.stringify(this.#disk.durable[sequence - 1]?.event) !== JSON.stringify(event))
        this.see('told-is-durable', `A line tells row ${sequence}, which is not durable.`);
  }

  seeResult({ key, attempt, outcome, result }: FinalResult): void {
    const isDurable = this.#disk.durable.some(
      ({ event }) =>
        event.type === 'attempt.ended' &&
        event.key === key &&
        event.attempt === attempt &&
        event.final &&
        event.outcome === outcome &&
        event.result.output === result.output,
    );
    if (!isDurable) this.see('told-is-durable', `${key} was told ${outcome}, and no such row is durable.`);
  }

  seeState({ outcomes, attempts, ended }: RunState): void {
    this.#catchUp();
    // One that is told while rows are being written may be older; the last one is not.
    const isOlder = ended === null && typeof attempts === 'number' && attempts < this.#attempts;
    if (attempts !== this.#attempts && !isOlder)
      this.see('told-is-durable', `The state tells ${String(attempts)} attempts; ${this.#attempts} are durable.`);
    this.#compare(outcomes as RunCounts['outcomes']);
  }

  seeCounts({ outcomes }: RunCounts): void {
    this.#catchUp();
    this.#compare(outcomes);
  }

  /** A prompt that was sent and has no end counts as interrupted. */
  #compare(told: RunCounts['outcomes']): void {
    for (const [outcome, count] of Object.entries(told)) {
      const durable = this.#tasks.get(outcome)?.size ?? 0;
      if (outcome !== 'interrupted' && count > durable)
        this.see('told-is-durable', `${count} tasks are told as ${outcome}; ${durable} are durable.`);
    }
  }

  #catchUp(): void {
    const { durable } = this.#disk;
    for (; this.#read < durable.length; this.#read += 1) {
      const { event } = durable[this.#read]!;
      if (event.type !== 'attempt.ended') continue;
      this.#attempts += 1;
      const keys = this.#tasks.get(event.outcome) ?? new Set();
      this.#tasks.set(event.outcome, keys.add(event.key));
    }
  }
}
