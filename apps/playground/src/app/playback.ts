import type { RunStore } from '../run/store.ts';

/** Plays recorded moments again: the cursor of the store moves with the time of the page. */
export class Playback {
  readonly #store: RunStore;
  readonly #onChange: () => void;
  #frame: number | undefined;
  #lastFrameMs = 0;
  #atMs = 0;
  speed = 1;

  constructor(store: RunStore, onChange: () => void) {
    this.#store = store;
    this.#onChange = onChange;
  }

  get playing(): boolean {
    return this.#frame !== undefined;
  }

  /** From the moment that is looked at; from the start when that is the end. */
  play(): void {
    const { records, end, following } = this.#store.moment();
    const atEnd = following || end >= records.length;
    if (atEnd) this.#store.moveTo(0);
    this.#atMs = (atEnd ? records[0] : records[Math.max(0, end - 1)])?.atMs ?? 0;
    this.#lastFrameMs = performance.now();
    this.#frame = requestAnimationFrame(this.#tick);
    this.#onChange();
  }

  stop(): void {
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    this.#frame = undefined;
    this.#onChange();
  }

  #tick = (atMs: number): void => {
    this.#atMs += Math.min(250, Math.max(0, atMs - this.#lastFrameMs)) * this.speed;
    this.#lastFrameMs = atMs;
    const end = this.#store.indexAt(this.#atMs);
    this.#store.moveTo(end);
    if (end >= this.#store.length) return this.stop();
    this.#frame = requestAnimationFrame(this.#tick);
  };
}
