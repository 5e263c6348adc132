import type { JournalEvent, JournalRow } from '@opencode-manager/runs/hosts';
import type { Randomness } from '../world/randomness.ts';

/** A row as it stands in the file; the last one of an append commits it. */
interface Frame {
  readonly sequence: number;
  readonly atMs: number;
  readonly text: string;
  readonly commits: boolean;
}

/** A row that survives, whatever comes, and since when it does. */
export interface DurableRow extends JournalRow {
  readonly durableAtMs: number;
}

/**
 * The disk on which a journal stands. What is written is in memory; a sync makes it durable. An append of which a row is missing is not there,
 * as with SQLite's log. It outlives managers.
 */
export class SimulatedDisk {
  /** The rows that survive, in their order; what the oracle reads. */
  readonly durable: DurableRow[] = [];
  /** Appends so far, those of dead managers too. */
  appends = 0;
  readonly #nowMs: () => number;
  readonly #random: Randomness;
  #frames: Frame[] = [];
  #fullUntilMs = 0;

  constructor(nowMs: () => number, random: Randomness) {
    this.#nowMs = nowMs;
    this.#random = random;
  }

  get isFull(): boolean {
    return this.#fullUntilMs > this.#nowMs();
  }

  get fullUntilMs(): number {
    return this.#fullUntilMs;
  }

  fill(forMs: number): void {
    this.#fullUntilMs = this.#nowMs() + forMs;
  }

  /** Puts a row behind those that are written. */
  write(event: JournalEvent, commits: boolean): void {
    const sequence = this.durable.length + this.#frames.length + 1;
    this.#frames.push({ sequence, atMs: Math.floor(this.#nowMs()), text: JSON.stringify(event), commits });
  }

  /** All that is written is durable from now on. */
  sync(): readonly DurableRow[] {
    const rows = this.#frames.map((frame) => this.#rowOf(frame));
    this.durable.push(...rows);
    this.#frames = [];
    return rows;
  }

  /** The manager is gone: what it had written stays, or with a loss of power a part of it; of that, whole appends count. */
  crash(how: 'kill' | 'power'): void {
    const kept = how === 'kill' ? this.#frames : this.#frames.slice(0, this.#random.whole(0, this.#frames.length));
    this.#frames = kept.slice(0, kept.findLastIndex(({ commits }) => commits) + 1);
    this.sync();
  }

  #rowOf({ sequence, atMs, text }: Frame): DurableRow {
    return { sequence, atMs, event: JSON.parse(text) as JournalEvent, durableAtMs: this.#nowMs() };
  }
}
