import { applyChanges } from '../trace/changes.ts';
import type { Json, RunRecord } from '../trace/format.ts';

/** What is known of one actor at one moment. */
export interface ActorView {
  readonly id: string;
  readonly path: string;
  readonly sinceMs: number;
  readonly directory: string;
  readonly taskId: string | null;
  /** The task of the last turn, over or not. */
  readonly lastTaskId: string | null;
  readonly turns: number;
  readonly context: Json | undefined;
  /** Record that changed it last. */
  readonly seq: number;
  /** Record with the newest transition. */
  readonly moved: RunRecord | undefined;
  /** The state before that. */
  readonly cameFrom: string | undefined;
}

/** What is known of a run at one moment. Sessions are replaced, not changed, so that equal means unchanged. */
export interface RunView {
  readonly sessions: ReadonlyMap<string, ActorView>;
  readonly pool: ActorView | undefined;
  readonly server: ActorView | undefined;
  readonly stream: ActorView | undefined;
  readonly seq: number;
  readonly atMs: number;
}

export const emptyView: RunView = { sessions: new Map(), pool: undefined, server: undefined, stream: undefined, seq: 0, atMs: 0 };

/** A view that is moved on in place, record by record, by whoever owns it. */
export class ViewBuilder {
  readonly #actors: Map<string, ActorView>;
  #seq: number;
  #atMs: number;

  constructor(from: RunView = emptyView) {
    this.#actors = new Map(from.sessions);
    for (const own of [from.pool, from.server, from.stream]) if (own) this.#actors.set(own.id, own);
    this.#seq = from.seq;
    this.#atMs = from.atMs;
  }

  apply(record: RunRecord): void {
    this.#seq = record.seq;
    this.#atMs = record.atMs;
    const before = this.#actors.get(record.actor);
    // Effects and summaries of hot data change nothing that is shown of an actor.
    if (before && record.path === undefined && !record.edges && !record.changes && !record.facts) return;
    this.#actors.set(record.actor, moveOn(before, record));
  }

  /** A copy that stays as it is. Costs one entry an actor. */
  view(): RunView {
    const sessions = new Map(this.#actors);
    const take = (id: string) => {
      const found = sessions.get(id);
      sessions.delete(id);
      return found;
    };
    return { pool: take('pool'), server: take('server'), stream: take('stream'), sessions, seq: this.#seq, atMs: this.#atMs };
  }
}

function moveOn(before: ActorView | undefined, record: RunRecord): ActorView {
  const { actor, path, atMs, facts, changes, edges, seq } = record;
  const moves = path !== undefined && path !== before?.path;
  return {
    id: actor,
    path: path ?? before?.path ?? 'unknown',
    sinceMs: moves ? atMs : (before?.sinceMs ?? atMs),
    directory: facts?.directory ?? before?.directory ?? '',
    taskId: facts && 'taskId' in facts ? (facts.taskId ?? null) : (before?.taskId ?? null),
    lastTaskId: facts?.taskId ?? before?.lastTaskId ?? null,
    turns: facts?.turns ?? before?.turns ?? 0,
    context: changes ? applyChanges(before?.context, changes) : before?.context,
    seq,
    moved: edges || moves ? record : before?.moved,
    cameFrom: edges || moves ? before?.path : before?.cameFrom,
  };
}
