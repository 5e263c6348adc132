import { isManagerError } from '@opencode-manager/core/errors';
import type { AskFacts, DirectoryFacts, Reading } from '@opencode-manager/core/protocol';
import type { OpenAsk, ReadRequest, TurnReading } from '../machines/index.ts';
import type { Clock, PortCall, ServerPort, SessionPort } from '../ports/index.ts';
import type { TurnObserver } from './turn-observer.ts';

/** The turn that is read, and who learns of what the read finds. */
export interface ReadTarget {
  readonly session: SessionPort;
  readonly server: ServerPort;
  readonly clock: Clock;
  readonly messageId: string;
  readonly observer: TurnObserver;
  /** Sub-agent sessions that are known. */
  readonly children: ReadonlySet<string>;
  readonly adoptChild: (sessionId: string) => void;
  /** An ask that stands in the server's list. */
  readonly onAsk: (ask: AskFacts) => void;
  readonly signal: AbortSignal;
}

/** Deadline of a request that is repeated, in milliseconds. A busy server has needed more than 2 s for an answer. */
const firstTimeoutMs = 5000;

/** One request of a read. It changes nothing: without an answer it is sent once more, with the client's own deadline. */
async function asked<Answer>(ask: (options: PortCall) => Promise<Answer>, signal: AbortSignal): Promise<Answer> {
  try {
    return await ask({ signal, timeoutMs: firstTimeoutMs });
  } catch (error) {
    if (!isManagerError(error, 'REQUEST_TIMEOUT')) throw error;
    return ask({ signal });
  }
}

/**
 * Reads what the server knows of a turn. The history first, then its sub-agents, then status and asks of the directory, which other sessions
 * share: an idle that counts for the end was read after the final message was seen.
 */
export async function readTurn(target: ReadTarget, request: ReadRequest): Promise<Omit<TurnReading, 'agoMs'> | 'deleted'> {
  const { session, server, clock, messageId, observer, signal } = target;
  const sinceMs = clock.now();
  const messages = request.history ? await readHistory(session, signal) : null;
  if (messages === 'deleted') return messages;
  const history = messages && { sinceMs, seenAtMs: clock.now(), ...observer.history(messages) };
  // What the turn has begun before its final message is there now.
  const wholeSinceMs = request.descendants ? clock.now() : null;
  if (request.descendants) await adoptDescendants(target, session);
  const unbegun = await findUnbegun(target, request);
  const askedMs = clock.now();
  const read = await asked((options) => server.read(session.directory, options), signal);
  const status = notBefore(askedMs, read.status);
  const asks = read.asks && notBefore(askedMs, read.asks);
  // After a gap, and when the session is idle: events may be late with what they did, and what is quiet now has said all.
  if (request.descendants || status.value[session.id] === undefined) await readChildren(target, target.children);
  return {
    messageId,
    history,
    status: { sinceMs: status.sinceMs, value: status.value[session.id] ?? 'idle' },
    children: { ...childrenOf(target, status, unbegun), wholeSinceMs },
    asks: asks && { sinceMs: asks.sinceMs, listed: listedAsks(target, asks) },
  };
}

/** The event that tells of a deletion is lost with a gap. */
async function readHistory(session: SessionPort, signal: AbortSignal) {
  try {
    return await asked((options) => session.history(options), signal);
  } catch (error) {
    if (isManagerError(error, 'NOT_FOUND')) return 'deleted';
    throw error;
  }
}

/** It was asked for after our call; the server's side counts whole milliseconds, in which a history may have been answered too. */
function notBefore<Value>(askedMs: number, { value, sinceMs }: Reading<Value>): Reading<Value> {
  return { value, sinceMs: Math.max(sinceMs, askedMs) };
}

/** Sub-agents that no event told of. */
async function adoptDescendants(target: ReadTarget, parent: SessionPort): Promise<void> {
  const { server, adoptChild, signal } = target;
  for (const { id, directory } of await asked((options) => parent.children(options), signal)) {
    adoptChild(id);
    await adoptDescendants(target, server.session(id, directory));
  }
}

/** Sub-agents that had not begun before the status was asked for: an idle says nothing of them. */
async function findUnbegun(target: ReadTarget, { descendants }: ReadRequest): Promise<ReadonlySet<string>> {
  const { children, observer } = target;
  const mayBe = [...children].filter((id) => (descendants ? !observer.hasBegun(id) : observer.isUnbegun(id)));
  await readChildren(target, mayBe);
  return new Set(mayBe.filter((id) => observer.isUnbegun(id)));
}

/** Prompts, tokens and tool calls of sub-agents. */
async function readChildren(
  { session: { directory }, server, observer, signal }: Omit<ReadTarget, 'children'>,
  children: Iterable<string>,
): Promise<void> {
  for (const child of children) {
    const session = server.session(child, directory);
    const history = await readHistory(session, signal);
    if (history !== 'deleted') observer.childHistory(history);
  }
}

function childrenOf({ children }: ReadTarget, { sinceMs, value }: DirectoryFacts['status'], unbegun: ReadonlySet<string>) {
  const idle = [...children].filter((id) => value[id] === undefined);
  return {
    sinceMs,
    busy: [...children].filter((id) => value[id] !== undefined),
    quiet: idle.filter((id) => !unbegun.has(id)),
    unbegun: idle.filter((id) => unbegun.has(id)),
  };
}

function listedAsks({ session, children, onAsk }: ReadTarget, { sinceMs, value }: NonNullable<DirectoryFacts['asks']>): readonly OpenAsk[] {
  const ours = value.filter(({ sessionId }) => sessionId === session.id || children.has(sessionId));
  for (const ask of ours) onAsk(ask);
  return ours.map((ask) => Object.assign(openAskOf(ask), { atMs: sinceMs }));
}

/** What the machine remembers of an ask. */
export function openAskOf({ id, kind, sessionId, permission, patterns }: AskFacts): Omit<OpenAsk, 'atMs'> {
  return { id, kind, sessionId, ...(permission !== undefined && { permission }), ...(patterns && { patterns }) };
}
