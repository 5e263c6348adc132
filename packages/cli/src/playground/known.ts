import type { SessionSnapshot, TaskResult } from '@opencode-manager/actors';
import type { ServerEvent } from '@opencode-manager/core/protocol';
import type { Change, Json } from '@opencode-manager/playground/trace';
import { payloadOf, type PayloadOptions } from './payload.ts';

export interface KnownAsk {
  readonly id: string;
  readonly kind: 'permission' | 'question';
  /** The session that asks: this one or a sub-agent of it. */
  readonly sessionId: string;
  readonly directory: string;
  readonly permission: string | null;
  readonly patterns: readonly string[];
}

/** What a page is told of a session, beside its state. Plain JSON. */
export interface KnownSession {
  readonly state: string;
  readonly task: string | null;
  readonly turns: number;
  readonly openAsks: readonly KnownAsk[];
  readonly retry: Json;
  readonly newestMessage: Json;
  readonly lastResult: Json;
}

export const unknownSession: KnownSession = {
  state: 'unknown',
  task: null,
  turns: 0,
  openAsks: [],
  retry: null,
  newestMessage: null,
  lastResult: null,
};

export function withSnapshot(known: KnownSession, { path, taskId, turns, state }: SessionSnapshot): KnownSession {
  // Asks of a turn that is over wait for nobody.
  const openAsks = state === 'active' ? known.openAsks : [];
  return { ...known, state: path, task: taskId, turns, openAsks, retry: path === 'active.backingOff' ? known.retry : null };
}

export function withEvent(known: KnownSession, event: ServerEvent, directory: string, options: PayloadOptions): KnownSession {
  const payload = payloadOf(event, options);
  if (event.type === 'permission.asked' || event.type === 'question.asked')
    return { ...known, openAsks: [...known.openAsks, askOf(event, directory, options)] };
  if (event.type === 'permission.replied' || event.type === 'question.replied') {
    const { requestId } = event.data;
    return { ...known, openAsks: known.openAsks.filter(({ id }) => id !== requestId) };
  }
  if (event.type === 'session.status') return { ...known, retry: event.data.status.type === 'retry' ? payload : null };
  if (event.type === 'message.updated') return { ...known, newestMessage: payload };
  return known;
}

export function withResult(known: KnownSession, result: TaskResult): KnownSession {
  return { ...known, openAsks: [], retry: null, lastResult: resultOf(result) };
}

/** A result without what the model said. */
export function resultOf({
  id,
  outcome,
  attempt,
  duration_ms,
  queued_ms,
  proof,
  gaps,
  retries,
  tool_calls,
  usage,
  error,
  asks,
}: TaskResult): Json {
  const told = {
    task: id,
    outcome,
    attempt,
    duration_ms,
    queued_ms,
    proof,
    gaps,
    retries,
    tool_calls,
    usage,
    asks: asks.length,
    error: error?.code ?? null,
  };
  return JSON.parse(JSON.stringify(told)) as Json;
}

function askOf(
  event: Extract<ServerEvent, { type: 'permission.asked' | 'question.asked' }>,
  directory: string,
  { content, asks }: PayloadOptions,
): KnownAsk {
  const { id, sessionID } = event.data.request;
  const place = { id, sessionId: sessionID, directory: event.directory ?? directory };
  if (event.type === 'question.asked') return { ...place, kind: 'question', permission: null, patterns: [] };
  const { permission, patterns } = event.data.request;
  return { ...place, kind: 'permission', permission, patterns: content || asks ? patterns : [] };
}

/** The fields that differ. */
export function changesOf<Value extends object>(before: Value | undefined, after: Value): Change[] {
  return Object.entries(after)
    .filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(before?.[key as keyof Value]))
    .map(([path, value]) => changeOf(path, before?.[path as keyof Value] as Json | undefined, value as Json));
}

function changeOf(path: string, before: Json | undefined, after: Json): Change {
  return before === undefined ? { path, after } : { path, before, after };
}
