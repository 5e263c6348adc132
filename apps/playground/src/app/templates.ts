import type { SessionMachineEvent } from '@opencode-manager/actors/machines';
import { kindOf } from '../run/meaning.ts';
import type { Json } from '../trace/format.ts';

/** What a template may draw on. */
export interface TemplateInput {
  readonly nowMs: number;
  /** Context of the actor. */
  readonly context: Json | undefined;
}

interface KnownTurn {
  readonly messageId?: string;
  readonly newestMessageId?: string | null;
  readonly openAsks?: readonly { readonly id: string }[];
  readonly retries?: readonly { readonly attempt: number }[];
  readonly children?: Readonly<Record<string, { readonly busy: boolean }>>;
}

const turnOf = ({ context }: TemplateInput): KnownTurn => (context as { turn?: KnownTurn | null } | undefined)?.turn ?? {};
const at = ({ nowMs }: TemplateInput) => ({ atMs: Math.round(nowMs) });
const error = (code: string, message: string) => ({ error: { name: 'OpencodeManagerError', code, message } });
const busyChild = (input: TemplateInput) => Object.entries(turnOf(input).children ?? {}).find(([, { busy }]) => busy)?.[0] ?? 'ses_child';

/** The answer to our message: ids grow, and a later one begins with an earlier one. */
const answerTo = (input: TemplateInput) => {
  const { messageId = 'msg', newestMessageId } = turnOf(input);
  return { id: newestMessageId ?? `${messageId}z`, parentId: messageId };
};

type Templates<Type extends string = string> = Readonly<Partial<Record<Type, (input: TemplateInput) => Json>>>;

/** Facts that a session is told; a simulated one takes them by hand. One without a template starts from an empty payload. */
const facts: Templates<SessionMachineEvent['type']> = {
  'turn.accepted': (input) => ({ source: 'events', ...at(input) }),
  'turn.refused': () => error('BAD_REQUEST', 'The server refused the turn.'),
  'turn.unknown': () => error('CONNECTION_LOST', 'The connection was lost before an answer came.'),
  'turn.abort': () => ({ reason: 'Asked for on the page.' }),
  'answer.oversized': () => ({ bytes: 100_000_000 }),
  'loop.seen': () => ({ loop: { emptySteps: 0, repetitions: 20, period: 1 } }),
  'session.busy': at,
  'session.idle': at,
  'session.retrying': (input) => ({
    retry: {
      attempt: (turnOf(input).retries?.at(-1)?.attempt ?? 0) + 1,
      message: 'Too Many Requests (429)',
      nextAtMs: Math.round(input.nowMs) + 4000,
    },
    ...at(input),
  }),
  'session.errored': (input) => ({ error: { kind: 'provider', name: 'ProviderError', message: 'The provider failed.' }, ...at(input) }),
  'message.started': (input) => ({ ...answerTo(input), ...at(input) }),
  'message.finalised': (input) => ({ message: { ...answerTo(input), finish: 'stop', hasText: true, hasToolResult: false }, ...at(input) }),
  'ask.opened': (input) => ({
    ask: { id: 'per_hand', kind: 'permission', sessionId: 'this', permission: 'bash', patterns: ['npm test'] },
    ...at(input),
  }),
  'child.busy': (input) => ({ sessionId: 'ses_child', ...at(input) }),
  'child.quiet': (input) => ({ sessionId: busyChild(input), ...at(input) }),
  'child.deleted': (input) => ({ sessionId: busyChild(input), ...at(input) }),
  'snapshot.read': (input) => readingOf(input),
  progress: (input) => ({ agoMs: 0, ...at(input) }),
  'stream.live': at,
  'session.failed': () => error('SESSION_ACTOR_FAILED', 'The actor failed.'),
};

/** A read that finds the session idle and nothing else. */
function readingOf(input: TemplateInput): Json {
  const sinceMs = Math.round(input.nowMs);
  return {
    reading: {
      messageId: turnOf(input).messageId ?? '',
      history: null,
      status: { sinceMs, value: 'idle' },
      children: { sinceMs, busy: [], quiet: [], unbegun: [], wholeSinceMs: sinceMs },
      asks: { sinceMs, listed: [] },
      agoMs: 0,
    },
    ...at(input),
  };
}

/** What a run is told through a door is not the machine's own event: the run makes that of it. */
const doors: Templates = {
  'session turn.submit': () => ({ prompt: 'Say hello in one sentence.' }),
  'session ask.closed': (input) => ({ id: turnOf(input).openAsks?.[0]?.id ?? '', allow: true }),
  'pool task.queued': () => ({ prompt: 'Say hello in one sentence.' }),
  'pool task.cancelled': () => ({ taskId: 'task-1' }),
  'server server.memory': () => ({ rssBytes: 2_400_000_000 }),
};

/** A payload to start from for an event of an actor. */
export function templateOf(actor: string, type: string, input: TemplateInput): Json {
  const template = doors[`${kindOf(actor)} ${type}`] ?? (facts as Templates)[type];
  return template?.(input) ?? {};
}
