import type { AskFacts, DirectoryFacts } from '@opencode-manager/core/protocol';
import type { OpenAsk, SnapshotFacts } from '../machines/index.ts';
import type { ServerPort, SessionPort } from '../ports/index.ts';
import type { TurnObserver } from './turn-observer.ts';

/** What a read needs of a session's host. */
export interface ReadTarget {
  readonly id: string;
  readonly directory: string;
  readonly operations: SessionPort;
  readonly messageId: string | undefined;
  readonly observer: TurnObserver | undefined;
  readonly children: ReadonlySet<string>;
  adoptChild(sessionId: string): void;
  childStatus(sessionId: string, busy: boolean, atMs: number): void;
  isOldAsk(id: string): boolean;
  askOpened(ask: AskFacts, atMs: number): void;
}

/** What is known of the turn before the read. */
export interface TurnSoFar {
  readonly accepted: boolean;
  /** Events of the turn were missed: sub-agents that nobody heard of may be there. */
  readonly gapped: boolean;
}

/**
 * Reads what the server knows of a turn: status and asks of the directory (shared with other sessions), and the history
 * when the session is idle or our message is still unconfirmed. The status is read before the history: what is idle
 * then has written its last message. After a gap sub-agents are looked for, and their histories are read too.
 */
export async function readTurnState(target: ReadTarget, server: ServerPort, soFar: TurnSoFar, signal: AbortSignal): Promise<SnapshotFacts> {
  const { id, directory, operations, observer } = target;
  if (soFar.gapped) await adoptDescendants(target, server, operations, signal);
  const read = await server.read(directory, { signal });
  const status = read.status.value[id] ?? 'idle';
  const history = status === 'idle' || !soFar.accepted ? observer?.history(await operations.history({ signal })) : undefined;
  if (soFar.gapped && status === 'idle') await readChildren(target, server, signal);
  return {
    startedAtMs: read.status.sinceMs,
    messageId: target.messageId ?? '',
    status,
    busyChildren: busyChildrenOf(target, read),
    asks: openAsksOf(target, read),
    messageFound: history?.found ?? null,
    final: history?.final ?? null,
  };
}

async function adoptDescendants(target: ReadTarget, server: ServerPort, parent: SessionPort, signal: AbortSignal): Promise<void> {
  for (const { id, directory } of await parent.children({ signal })) {
    target.adoptChild(id);
    await adoptDescendants(target, server, server.session(id, directory), signal);
  }
}

/** Tokens and tool calls of sub-agents that worked during the gap. */
async function readChildren({ children, directory, observer }: ReadTarget, server: ServerPort, signal: AbortSignal): Promise<void> {
  for (const child of children) observer?.childHistory(await server.session(child, directory).history({ signal }));
}

/** The host's own list follows, so that later events are told from repeated ones. */
function busyChildrenOf(target: ReadTarget, { status }: DirectoryFacts): string[] {
  const busy: string[] = [];
  for (const child of target.children) {
    const isBusy = status.value[child] !== undefined;
    target.childStatus(child, isBusy, status.sinceMs);
    if (isBusy) busy.push(child);
  }
  return busy;
}

/** Open asks of the session and its sub-agents. The policy sees those that no event told of. */
function openAsksOf(target: ReadTarget, { status, asks }: DirectoryFacts): OpenAsk[] {
  const { id, children } = target;
  // opencode keeps the asks of an aborted turn in its lists; nobody waits for them in an idle session.
  const waits = (sessionId: string) => status.value[sessionId] !== undefined && (sessionId === id || children.has(sessionId));
  const open = asks.value.filter((ask) => waits(ask.sessionId) && !target.isOldAsk(ask.id));
  for (const ask of open) target.askOpened(ask, asks.sinceMs);
  return open.map((ask) => openAskOf(ask, asks.sinceMs));
}

/** What the machine remembers of an ask. */
export function openAskOf({ id, kind, sessionId, permission, patterns }: AskFacts, atMs: number): OpenAsk {
  return { id, kind, sessionId, atMs, ...(permission !== undefined && { permission }), ...(patterns && { patterns }) };
}
