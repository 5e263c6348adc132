import type { Lane, RecordTag, RunRecord } from '../trace/format.ts';

/** The machine behind an actor of the records. */
export type ActorKind = 'pool' | 'server' | 'session';

/** The event stream is no machine: it counts as the server's. */
export function kindOf(actor: string): ActorKind {
  if (actor === 'pool') return 'pool';
  return actor === 'server' || actor === 'stream' ? 'server' : 'session';
}

export interface Route {
  readonly from: Lane;
  readonly to: Lane;
}

/** Who sends what; anything else comes as `others` says. Timers are a machine's own doing. */
const senders: Readonly<Record<ActorKind, { readonly others: Lane; readonly by: Readonly<Partial<Record<Lane, readonly string[]>>> }>> = {
  session: {
    others: 'worker',
    by: {
      pool: ['turn.submit', 'turn.resume', 'turn.abort', 'session.recover', 'server.exited', 'server.interrupted'],
      server: ['turn.accepted', 'turn.refused', 'turn.unknown', 'snapshot.read', 'question.described'],
      session: [
        'loop.seen',
        'answer.oversized',
        'progress',
        'stall.due',
        'step.due',
        'ask.due',
        'abort.again',
        'quarantine.due',
        'session.failed',
      ],
    },
  },
  pool: {
    others: 'pool',
    by: {
      user: ['task.queued', 'task.cancelled', 'pool.drain', 'pool.stop'],
      session: ['turn.ended', 'attempt.failed', 'turn.judged', 'provider.paused', 'session.died'],
      server: ['server.away', 'server.exited', 'server.recovered', 'server.rotated'],
    },
  },
  server: {
    others: 'server',
    by: { pool: ['rotation.wanted', 'restarts.forbidden', 'turn.quarantined', 'generation.unused', 'server.stop'] },
  },
};

const routes = new Map<string, Lane>(
  Object.entries(senders).flatMap(([kind, { by }]) =>
    Object.entries(by).flatMap(([lane, types]) => types.map((type) => [`${kind} ${type}`, lane as Lane] as const)),
  ),
);

/** Between whom the event of a record passed. */
export function routeOf({ actor, type, from, to }: RunRecord): Route {
  if (actor === 'stream') return { from: 'server', to: 'worker' };
  const kind = kindOf(actor);
  const sender = type.startsWith('xstate.') ? kind : (routes.get(`${kind} ${type}`) ?? senders[kind].others);
  const receiver = kind === 'server' && sender === 'server' ? 'pool' : kind;
  return { from: from ?? sender, to: to ?? receiver };
}

/** Effects that reach the server; the others show as the events that come of them. */
const requests: ReadonlySet<string> = new Set([
  'submitTurn',
  'requestAbort',
  'abortChild',
  'requestSnapshot',
  'endTools',
  'relaunch',
  'startNext',
  'retire',
]);

/** What the server was asked for with an event. */
export function requestsOf({ effects = [] }: RunRecord): readonly string[] {
  return effects.filter((effect) => requests.has(effect));
}

const errorTypes: ReadonlySet<string> = new Set([
  'session.errored',
  'turn.refused',
  'turn.unknown',
  'server.exited',
  'server.lost',
  'server.away',
  'rotation.failed',
  'stream.failed',
  'session.failed',
  'attempt.failed',
]);
const badPaths: ReadonlySet<string> = new Set(['error', 'dead', 'dead.gone', 'dead.quarantined', 'failed']);

/** What stands out about a record: by its type, and by where it led. */
export function tagsOf({ actor, type, path, payload, tags = [] }: RunRecord): readonly RecordTag[] {
  // A server that was stopped is lost, and nobody is surprised.
  const isExpected = (payload as { readonly isExpected?: boolean } | null | undefined)?.isExpected === true;
  if ((errorTypes.has(type) && !isExpected) || (path !== undefined && badPaths.has(path))) return [...tags, 'error'];
  if (type === 'ask.opened' || type === 'ask.closed') return [...tags, 'ask'];
  // The stream's own: every session hears of it too.
  return type === 'stream.gap' && actor === 'stream' ? [...tags, 'gap'] : tags;
}
