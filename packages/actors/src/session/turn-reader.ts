import type { AskFacts, DirectoryFacts, Reading } from '@opencode-manager/core/protocol';
import type { OpenAsk, ReadRequest, TurnReading } from '../machines/index.ts';
import type { Clock, ServerPort, SessionPort } from '../ports/index.ts';
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

/**
 * Reads what the server knows of a turn. The history first, then status and asks of the directory, which other sessions share: an idle that
 * counts for the end was read after the final message was seen.
 */
export async function readTurn(target: ReadTarget, request: ReadRequest): Promise<Omit<TurnReading, 'agoMs'>> {
  const { session, server, clock, messageId, observer, signal } = target;
  if (request.descendants) await adoptDescendants(target, session);
  const sinceMs = clock.now();
  const messages = request.history ? await session.history({ signal }) : null;
  const history = messages && { sinceMs, seenAtMs: clock.now(), ...observer.history(messages) };
  const askedMs = clock.now();
  const read = await server.read(session.directory, { signal });
  const status = notBefore(askedMs, read.status);
  const asks = read.asks && notBefore(askedMs, read.asks);
  // After a gap, and when the session is idle: events may be late with what they did, and what is quiet now has said all.
  if (request.descendants || status.value[session.id] === undefined) await readChildren(target);
  for (const id of [session.id, ...target.children]) {
    const one = status.value[id];
    if (one !== undefined) observer.status(id, one, status.sinceMs);
  }
  return {
    messageId,
    history,
    status: { sinceMs: status.sinceMs, value: status.value[session.id] ?? 'idle' },
    children: childrenOf(target, status),
    asks: asks && { sinceMs: asks.sinceMs, listed: listedAsks(target, asks) },
  };
}

/** It was asked for after our call; the server's side counts whole milliseconds, in which a history may have been answered too. */
function notBefore<Value>(askedMs: number, { value, sinceMs }: Reading<Value>): Reading<Value> {
  return { value, sinceMs: Math.max(sinceMs, askedMs) };
}

/** Sub-agents that no event told of. */
async function adoptDescendants(target: ReadTarget, parent: SessionPort): Promise<void> {
  const { server, adoptChild, signal } = target;
  for (const { id, directory } of await parent.children({ signal })) {
    adoptChild(id);
    await adoptDescendants(target, server.session(id, directory));
  }
}

/** Tokens and tool calls of sub-agents. */
async function readChildren({ children, session: { directory }, server, observer, signal }: ReadTarget): Promise<void> {
  for (const child of children) observer.childHistory(await server.session(child, directory).history({ signal }));
}

function childrenOf({ children }: ReadTarget, { sinceMs, value }: DirectoryFacts['status']): TurnReading['children'] {
  const ids = [...children];
  return { sinceMs, busy: ids.filter((id) => value[id] !== undefined), quiet: ids.filter((id) => value[id] === undefined) };
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
