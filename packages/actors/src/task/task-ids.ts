import { OpencodeManagerError } from '@opencode-manager/core/errors';

/** So many ids of finished tasks are remembered: a pool may live for ever. */
const rememberedIds = 4096;

/** Keeps the ids of a pool's tasks apart. */
export class TaskIds {
  readonly #live = new Set<string>();
  /** The newest of those that have finished, oldest first. */
  readonly #finished = new Set<string>();
  #next = 1;

  /** Takes an id, or makes one. @throws `TASK_DUPLICATE` for one that was taken lately */
  take(wanted: string | undefined): string {
    const id = wanted ?? this.#fresh();
    if (this.#isKnown(id)) {
      throw new OpencodeManagerError('TASK_DUPLICATE', `id: a task ${id} was given to this pool before. Give each task an id of its own.`, {
        details: { id },
      });
    }
    this.#live.add(id);
    return id;
  }

  finish(id: string): void {
    this.#live.delete(id);
    this.#finished.add(id);
    if (this.#finished.size <= rememberedIds) return;
    const [oldest] = this.#finished;
    this.#finished.delete(oldest!);
  }

  #fresh(): string {
    while (this.#isKnown(`task-${this.#next}`)) this.#next += 1;
    const id = `task-${this.#next}`;
    this.#next += 1;
    return id;
  }

  #isKnown(id: string): boolean {
    return this.#live.has(id) || this.#finished.has(id);
  }
}
