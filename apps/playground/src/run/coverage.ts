import { likelyTransitions, type ChartModel } from '../chart/model.ts';
import type { RunRecord } from '../trace/format.ts';

/** Counts how often each transition of the charts was taken. */
export class Coverage {
  readonly #models: { readonly session: ChartModel; readonly pool: ChartModel };
  readonly #counts = new Map<string, number>();
  readonly #paths = new Map<string, string>();
  readonly #found = new Map<string, readonly string[]>();

  constructor(models: { readonly session: ChartModel; readonly pool: ChartModel }) {
    this.#models = models;
  }

  /** By the id of the transition. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  apply(record: RunRecord): void {
    for (const id of this.transitionsOf(record)) this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
    if (record.path !== undefined) this.#paths.set(record.actor, record.path);
  }

  /** The transitions a record took: those it names, or the likely ones between two states. */
  transitionsOf(record: RunRecord): readonly string[] {
    if (record.edges) return record.edges;
    const from = this.#paths.get(record.actor);
    if (record.path === undefined || from === undefined || from === record.path) return [];
    return this.likely(record, from, record.path);
  }

  likely({ actor, type }: RunRecord, from: string, to: string): readonly string[] {
    if (actor === 'server' || actor === 'stream') return [];
    const key = `${actor === 'pool'}|${from}|${to}|${type}`;
    const known = this.#found.get(key);
    if (known) return known;
    const model = actor === 'pool' ? this.#models.pool : this.#models.session;
    const found = likelyTransitions(model, from, to, type).map(({ id }) => id);
    this.#found.set(key, found);
    return found;
  }
}
