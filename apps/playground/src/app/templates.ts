import type { PoolMachineEvent, ServerMachineEvent, SessionMachineEvent } from '@opencode-manager/actors/machines';
import { kindOf, type ActorKind } from '../run/meaning.ts';
import type { Json } from '../trace/format.ts';

/** What a template may draw on. */
export interface TemplateInput {
  readonly nowMs: number;
  /** Context of the actor. */
  readonly context: Json | undefined;
}

/** An event without one starts from an empty payload. */
type Fields<Event extends { type: string }> = { readonly [Type in Event['type']]?: (input: TemplateInput) => Json };

interface KnownTurn {
  readonly messageId?: string;
  readonly openAsks?: readonly { readonly id: string }[];
  readonly lastRetry?: { readonly attempt: number } | null;
  readonly busyChildren?: readonly string[];
}

const turnOf = ({ context }: TemplateInput): KnownTurn => (context as { turn?: KnownTurn | null } | undefined)?.turn ?? {};
const at = ({ nowMs }: TemplateInput) => ({ atMs: Math.round(nowMs) });
const error = (code: string, message: string) => ({ error: { name: 'OpencodeManagerError', code, message } });

const sessionTemplates: Fields<SessionMachineEvent> = {
  'turn.submit': (input) => ({
    taskId: 'by-hand',
    messageId: `msg_hand_${Math.round(input.nowMs)}`,
    kind: 'prompt',
    timeoutMs: null,
    ...at(input),
  }),
  'turn.accepted': at,
  'turn.refused': () => error('BAD_REQUEST', 'The server refused the turn.'),
  'turn.unknown': () => error('CONNECTION_LOST', 'The connection was lost before an answer came.'),
  'turn.abort': () => ({ reason: 'Asked for on the page.' }),
  'turn.runaway': () => ({ reason: '20 identical tool calls in a row' }),
  'session.busy': at,
  'session.idle': at,
  'session.retrying': (input) => ({
    retry: {
      attempt: (turnOf(input).lastRetry?.attempt ?? 0) + 1,
      message: 'Too Many Requests (429)',
      nextAtMs: Math.round(input.nowMs) + 4000,
    },
    ...at(input),
  }),
  'session.errored': (input) => ({ error: { name: 'APIError', message: 'The provider failed.' }, ...at(input) }),
  'message.started': (input) => ({ id: `${turnOf(input).messageId ?? 'msg'}_answer`, ...at(input) }),
  'message.finalised': (input) => ({
    message: { id: `${turnOf(input).messageId ?? 'msg'}_answer`, finish: 'stop', empty: false },
    ...at(input),
  }),
  'ask.opened': (input) => ({
    ask: { id: 'per_hand', kind: 'permission', sessionId: 'this', permission: 'bash', patterns: ['npm test'] },
    ...at(input),
  }),
  'ask.closed': (input) => ({ id: turnOf(input).openAsks?.[0]?.id ?? 'per_hand', ...at(input) }),
  'child.busy': (input) => ({ sessionId: 'ses_child', ...at(input) }),
  'child.quiet': (input) => ({ sessionId: turnOf(input).busyChildren?.[0] ?? 'ses_child', ...at(input) }),
  'snapshot.read': (input) => ({
    facts: {
      startedAtMs: Math.round(input.nowMs),
      messageId: turnOf(input).messageId ?? '',
      status: 'idle',
      busyChildren: [],
      asks: [],
      messageFound: true,
      final: null,
    },
    ...at(input),
  }),
  progress: () => ({}),
  'stream.gap': () => ({}),
  'stream.live': () => ({}),
  'session.recover': () => ({}),
  'session.deleted': () => ({}),
  'session.failed': () => error('SESSION_ACTOR_FAILED', 'The actor failed.'),
  'server.exited': () => error('SERVER_EXITED', 'The opencode server ended.'),
  'server.interrupted': () => error('SERVER_EXITED', 'The opencode server ended.'),
  'turn.resume': (input) => ({ taskId: 'by-hand', messageId: 'msg_hand', kind: 'prompt', timeoutMs: null, ...at(input) }),
};

const place = { taskId: 'task-1', priority: 0, group: '' };

const poolTemplates: Fields<PoolMachineEvent> = {
  'pool.ready': () => ({}),
  'task.queued': (input) => ({ ...place, taskId: `by-hand-${Math.round(input.nowMs)}` }),
  'task.cancelled': () => place,
  'turn.ended': (input) => ({
    taskId: 'task-1',
    outcome: 'succeeded',
    error: null,
    quarantined: false,
    sent: true,
    resetAtMs: null,
    jitter: 0,
    ...at(input),
  }),
  'attempt.failed': (input) => ({ taskId: 'task-1', ...error('CONNECTION_LOST', 'The session was lost.'), jitter: 0, ...at(input) }),
  'turn.judged': () => ({ taskId: 'task-1', fate: 'interrupted' }),
  'session.released': () => ({ sessionId: 'ses_001' }),
  'session.ended': () => ({ sessionId: 'ses_001', reason: 'The session was deleted.' }),
  'retry.due': () => ({ taskId: 'task-1' }),
  'pool.drain': () => ({}),
  'pool.stop': () => ({}),
  'server.away': () => error('SERVER_EXITED', 'The opencode server ended.'),
  'server.exited': () => error('SERVER_EXITED', 'The opencode server ended.'),
  'provider.paused': (input) => ({ provider: null, ...at(input), untilMs: Math.round(input.nowMs) + 5000, isRateLimit: true }),
};

const serverTemplates: Fields<ServerMachineEvent> = {
  'server.ready': at,
  'server.lost': (input) => ({ ...error('SERVER_EXITED', 'The opencode server ended.'), ...at(input) }),
  'server.memory': (input) => ({ rssBytes: 2_400_000_000, ...at(input) }),
  'rotation.wanted': () => ({ reason: 'asked' }),
  'rotation.failed': (input) => ({ ...error('SERVER_EXITED', 'The next server ended at its start.'), ...at(input) }),
  'generation.retired': () => ({ generation: 1 }),
};

type Templates = Readonly<Record<string, (input: TemplateInput) => Json>>;

const simulated: Readonly<Record<ActorKind, Templates>> = { session: sessionTemplates, pool: poolTemplates, server: serverTemplates };

/** What a live run is told is not the machine's own event: the run makes that of it. */
const live: Templates = {
  'turn.submit': () => ({ prompt: 'Say hello in one sentence.' }),
  'task.queued': () => ({ prompt: 'Say hello in one sentence.' }),
  'ask.closed': (input) => ({ id: turnOf(input).openAsks?.[0]?.id ?? '', allow: true }),
};

/** A payload to start from for an event of an actor. */
export function templateOf(actor: string, type: string, input: TemplateInput & { readonly isLive: boolean }): Json {
  const templates = input.isLive ? live : simulated[kindOf(actor)];
  return templates[type]?.(input) ?? {};
}
