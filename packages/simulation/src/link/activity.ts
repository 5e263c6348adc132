import type { StatusFacts } from '@opencode-manager/core/protocol';
import type { Process } from '../opencode/process.ts';
import type { StoredSession } from '../opencode/storage.ts';

interface Activity {
  readAtMs: number;
  status: StatusFacts[string];
}

/**
 * The status of sessions as the adapter of 2.x has it. That one waits for its provider is looked up for a turn that is some time old, and not again at
 * once. One that rests counts as busy when its history was read, because the server does not list it.
 */
export class ActivityMemory {
  readonly #known = new Map<string, Activity>();
  readonly #resting = new Set<string>();
  readonly #everyMs: number;

  /** @param everyMs 0: each look shows what is */
  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  /** Its history was read. */
  sawHistory({ id, openWork }: StoredSession): void {
    if (openWork.size > 0) this.#resting.add(id);
    else this.#resting.delete(id);
  }

  /** It was aborted. */
  forget(id: string): void {
    this.#resting.delete(id);
  }

  statusOf(process: Process, directory: string, nowMs: number): StatusFacts {
    if (this.#everyMs === 0) return process.statusOf(directory);
    const active = process.turns.filter(
      ({ status, session }) => status !== undefined || (this.#resting.has(session.id) && session.openWork.size > 0),
    );
    const ids = new Set(active.map(({ session }) => session.id));
    for (const id of this.#known.keys()) if (!ids.has(id)) this.#known.delete(id);
    const status: Record<string, StatusFacts[string]> = {};
    for (const turn of active) {
      const { id } = turn.session;
      const known = this.#known.get(id) ?? { readAtMs: nowMs, status: 'busy' };
      this.#known.set(id, known);
      if (turn.session.directory !== directory) continue;
      if (nowMs - known.readAtMs >= this.#everyMs) Object.assign(known, { readAtMs: nowMs, status: turn.status ?? 'busy' });
      status[id] = known.status;
    }
    return status;
  }
}
