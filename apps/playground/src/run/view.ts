import { applyChanges } from '../trace/changes.ts';
import type { Json, Question, RunRecord } from '../trace/format.ts';

/** Tokens to and from the model, caches left out; a cost of null when there is no price. */
export interface SessionUsage {
  readonly tokens: number;
  readonly costUsd: number | null;
}

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
  /** Record with the newest transition, of those that keep the state too. */
  readonly moved: RunRecord | undefined;
  /** Record that brought it into its state. */
  readonly arrived: RunRecord | undefined;
  /** The pool has let it go: its actor was stopped. */
  readonly ended: boolean;
  /** What it has used, as far as its messages told. */
  readonly usage: SessionUsage | undefined;
  /** What open questions ask, by the id of the ask. */
  readonly questions: Readonly<Record<string, readonly Question[]>>;
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

/** Beyond this many actors, those that were let go longest ago leave the view. */
const keptActors = 2000;

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
    // Summaries of hot data change nothing that is shown of an actor.
    if (before && isIdle(record)) return;
    this.#actors.set(record.actor, moveOn(before, record));
    if (this.#actors.size > keptActors) this.#forgetOne();
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

  #forgetOne(): void {
    for (const { id, ended } of this.#actors.values()) if (ended) return void this.#actors.delete(id);
  }
}

/** Records beside the machine's own that say something of an actor. */
const told: ReadonlySet<string> = new Set(['question.described', 'usage', 'xstate.stop']);

function isIdle({ path, transitions, changes, type }: RunRecord): boolean {
  return path === undefined && !transitions && !changes && !told.has(type);
}

/** What an unknown actor starts from. */
function unknownActor(id: string, atMs: number): ActorView {
  const nothing = {
    directory: '',
    taskId: null,
    lastTaskId: null,
    turns: 0,
    context: undefined,
    moved: undefined,
    arrived: undefined,
    usage: undefined,
    questions: {},
  };
  return { id, path: 'unknown', sinceMs: atMs, seq: 0, ended: false, ...nothing };
}

function moveOn(known: ActorView | undefined, record: RunRecord): ActorView {
  const { actor, path, atMs, changes, transitions, seq } = record;
  const before = known ?? unknownActor(actor, atMs);
  const moves = path !== undefined && path !== before.path;
  return {
    ...before,
    ...(moves && { path, sinceMs: atMs }),
    ...(changes && contextOf(before, changes)),
    ...(record.type === 'question.described' && withQuestion(before, record.payload)),
    ...(record.type === 'usage' && { usage: record.payload as unknown as SessionUsage }),
    seq,
    moved: transitions || moves ? record : before.moved,
    arrived: moves ? record : before.arrived,
    ended: record.type === 'xstate.stop',
  };
}

/** What the page reads of a session's context; other machines have none of it. */
interface SessionFields {
  readonly directory?: string;
  readonly turns?: number;
  readonly turn?: { readonly taskId: string } | null;
}

function contextOf(before: ActorView, changes: NonNullable<RunRecord['changes']>): Partial<ActorView> {
  const context = applyChanges(before.context, changes);
  const { directory = '', turns = 0, turn } = (context ?? {}) as SessionFields;
  return { context, directory, turns, taskId: turn?.taskId ?? null, lastTaskId: turn?.taskId ?? before.lastTaskId };
}

function withQuestion({ questions }: ActorView, payload: Json | undefined): Partial<ActorView> {
  const { id, questions: asked } = payload as unknown as { readonly id: string; readonly questions: readonly Question[] };
  return { questions: { ...questions, [id]: asked } };
}
