import type { RecordTag, RunRecord } from '../trace/format.ts';
import { tagsOf } from './meaning.ts';
import { emptyView, ViewBuilder, type RunView } from './view.ts';

/** A whole view is kept at each of these many records; any other moment is at most so many records away. */
const keyframeEvery = 512;

/** Records beyond this many push the oldest out. */
const defaultLimit = 300_000;

/** A record that stands out, for the timeline. */
export interface Mark {
  readonly seq: number;
  readonly atMs: number;
  readonly tag: RecordTag;
}

/** What the page draws: one moment of a run. */
export interface Moment {
  readonly view: RunView;
  /** Records up to the moment: `records[0 .. end)`. */
  readonly records: readonly RunRecord[];
  readonly end: number;
  /** All records so far; the list itself may have grown since. */
  readonly total: number;
  /** True while the page shows the newest moment and follows it. */
  readonly following: boolean;
  readonly counts: ReadonlyMap<string, number>;
  /** Grows with every change. */
  readonly version: number;
  /** Records that were pushed out at the front. */
  readonly dropped: number;
  /** Errors, asks and gaps of the whole run so far, in order. */
  readonly marks: readonly Mark[];
}

/**
 * All records of a run, and the moment that is looked at. Readers are told once a frame at most, however many records
 * come; a record costs a few microseconds.
 */
export class RunStore {
  readonly #limit: number;
  readonly #listeners = new Set<() => void>();
  #records: RunRecord[] = [];
  #keyframes: RunView[] = [];
  #newest = new ViewBuilder();
  /** How often each transition was taken. */
  #counts = new Map<string, number>();
  #marks: Mark[] = [];
  /** Index after the last record that is shown; null to follow. */
  #cursor: number | null = null;
  #dropped = 0;
  #version = 0;
  #moment: Moment | undefined;
  #scheduled = false;

  constructor(limit = defaultLimit) {
    this.#limit = limit;
  }

  append(record: RunRecord): void {
    if (this.#records.length % keyframeEvery === 0) this.#keyframes.push(this.#newest.view());
    this.#records.push(record);
    this.#newest.apply(record);
    for (const id of record.transitions ?? []) this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
    const tag = tagsOf(record).find((one) => one !== 'delta');
    if (tag) this.#marks.push({ seq: record.seq, atMs: record.atMs, tag });
    if (this.#records.length > this.#limit) this.#dropOldest();
    this.#changed();
  }

  /** Forgets the run. */
  clear(): void {
    this.#records = [];
    this.#keyframes = [];
    this.#newest = new ViewBuilder();
    this.#counts = new Map();
    this.#marks = [];
    this.#cursor = null;
    this.#dropped = 0;
    this.#changed();
  }

  get records(): readonly RunRecord[] {
    return this.#records;
  }

  get length(): number {
    return this.#records.length;
  }

  /** Number of the record that comes next. */
  get nextSeq(): number {
    return (this.#records.at(-1)?.seq ?? 0) + 1;
  }

  /** Looks at the moment after so many records; null follows the newest. */
  moveTo(end: number | null): void {
    this.#cursor = end === null ? null : Math.min(Math.max(0, Math.round(end)), this.#records.length);
    this.#changed();
  }

  /** Index after the last record up to a time. */
  indexAt(atMs: number): number {
    let low = 0;
    let high = this.#records.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#records[middle]!.atMs <= atMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Index after the record of this number. */
  indexOf(seq: number): number {
    const first = this.#records[0]?.seq ?? 1;
    return seq - first + 1;
  }

  moment(): Moment {
    return (this.#moment ??= this.#look());
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  #look(): Moment {
    const total = this.#records.length;
    const end = this.#cursor ?? total;
    const following = this.#cursor === null;
    const view = following ? this.#newest.view() : this.#viewAt(end);
    return {
      view,
      records: this.#records,
      end,
      total,
      following,
      counts: this.#counts,
      version: this.#version,
      dropped: this.#dropped,
      marks: this.#marks,
    };
  }

  #viewAt(end: number): RunView {
    if (end === 0) return this.#keyframes[0] ?? emptyView;
    const frame = Math.floor((end - 1) / keyframeEvery);
    const builder = new ViewBuilder(this.#keyframes[frame]);
    for (let index = frame * keyframeEvery; index < end; index += 1) builder.apply(this.#records[index]!);
    return builder.view();
  }

  /** Whole keyframes at once, so that the others keep their places. */
  #dropOldest(): void {
    const frames = Math.ceil(this.#limit / 10 / keyframeEvery);
    const count = frames * keyframeEvery;
    this.#records = this.#records.slice(count);
    this.#keyframes = this.#keyframes.slice(frames);
    this.#dropped += count;
    const [first] = this.#records;
    this.#marks = this.#marks.filter(({ seq }) => first !== undefined && seq >= first.seq);
    if (this.#cursor !== null) this.#cursor = Math.max(0, this.#cursor - count);
  }

  #changed(): void {
    this.#version += 1;
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#moment = undefined;
      for (const listener of this.#listeners) listener();
    });
  }
}
