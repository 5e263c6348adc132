import { useMemo } from 'react';
import { selfAndAncestors, type ChartEdge, type ChartModel } from '../chart/model.ts';
import type { ActorView } from '../run/view.ts';

/** What an actor makes of a chart: where it is, whence it came, where it can go. */
export interface ChartMarks {
  /** Id of the state that it is in; empty without an actor. */
  readonly leaf: string;
  /** States that hold that one. */
  readonly around: ReadonlySet<string>;
  /** States that a way out leads to. */
  readonly next: ReadonlySet<string>;
  /** States that the way just taken came from. */
  readonly before: ReadonlySet<string>;
  /** Ids of the transitions that brought it here, and of the newest one that kept it here. */
  readonly taken: ReadonlySet<string>;
  /** Record that brought it here; 0 for none. */
  readonly takenSeq: number;
}

/** `inherited`: a way out of a state that holds the active one. */
export type EdgeKind = 'plain' | 'inherited' | 'enabled' | 'taken';
export type NodeRole = 'leaf' | 'around' | 'next' | 'before' | 'other';

/** What is stronger is drawn later, so that nothing faint lies on it. */
export const ranks: Readonly<Record<EdgeKind, number>> = { plain: 0, inherited: 1, enabled: 2, taken: 3 };

export function useMarks(model: ChartModel, actor: ActorView | undefined): ChartMarks {
  return useMemo(() => marksOf(model, actor), [model, actor?.path, actor?.moved, actor?.arrived]);
}

function marksOf(model: ChartModel, actor: ActorView | undefined): ChartMarks {
  const [leaf = '', ...around] = actor ? selfAndAncestors(model, actor.path === '' ? model.id : `${model.id}.${actor.path}`) : [];
  const taken = new Set([...(actor?.arrived?.transitions ?? []), ...(actor?.moved?.transitions ?? [])]);
  const came = model.edges.filter(({ transitions }) => transitions.some(({ id }) => taken.has(id)));
  return {
    leaf,
    around: new Set(around),
    next: new Set(model.edges.filter(({ source }) => source === leaf).map(({ target }) => target)),
    before: new Set(came.map(({ source }) => source)),
    taken,
    takenSeq: actor?.arrived?.seq ?? 0,
  };
}

export function edgeKind({ source, transitions }: ChartEdge, { leaf, around, taken }: ChartMarks): EdgeKind {
  if (transitions.some(({ id }) => taken.has(id))) return 'taken';
  if (source === leaf) return 'enabled';
  return around.has(source) ? 'inherited' : 'plain';
}

export function nodeRole(id: string, { leaf, around, next, before }: ChartMarks): NodeRole {
  if (id === leaf) return 'leaf';
  if (around.has(id)) return 'around';
  if (before.has(id)) return 'before';
  return next.has(id) ? 'next' : 'other';
}
