import type { OpencodeServer, SessionOperations } from '@opencode-manager/core';
import type { OpenAsk, SnapshotFacts } from '../machines/index.ts';
import type { Ask } from '../task/types.ts';
import type { TurnObserver } from './turn-observer.ts';

/** What a read needs of a session's host. */
export interface ReadTarget {
  readonly id: string;
  readonly directory: string;
  readonly operations: SessionOperations;
  readonly messageId: string | undefined;
  readonly observer: TurnObserver | undefined;
  readonly children: ReadonlySet<string>;
  adoptChild(sessionId: string): void;
  childStatus(sessionId: string, busy: boolean, atMs: number): void;
  isOldAsk(id: string): boolean;
  askOpened(ask: Omit<Ask, 'taskId'>, directory: string, atMs: number): void;
}

type Snapshot = Awaited<ReturnType<OpencodeServer['snapshot']>>;

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
export async function readTurnState(
  target: ReadTarget,
  server: OpencodeServer,
  soFar: TurnSoFar,
  signal: AbortSignal,
): Promise<SnapshotFacts> {
  const { id, directory, operations, observer } = target;
  if (soFar.gapped) await adoptDescendants(target, server, operations, signal);
  const snapshot = await server.snapshot(directory, { signal });
  const status = factOf(snapshot.status[id]);
  const history = status === 'idle' || !soFar.accepted ? observer?.history(await operations.messages({}, { signal })) : undefined;
  if (soFar.gapped && status === 'idle') await readChildren(target, server, signal);
  return {
    startedAtMs: snapshot.startedAtMs,
    messageId: target.messageId ?? '',
    status,
    busyChildren: busyChildrenOf(target, snapshot),
    asks: openAsksOf(target, snapshot),
    messageFound: history?.found ?? null,
    final: history?.final ?? null,
  };
}

async function adoptDescendants(target: ReadTarget, server: OpencodeServer, parent: SessionOperations, signal: AbortSignal): Promise<void> {
  for (const { id, directory } of await parent.children({ signal })) {
    target.adoptChild(id);
    await adoptDescendants(target, server, server.operations(id, directory), signal);
  }
}

/** Tokens and tool calls of sub-agents that worked during the gap. */
async function readChildren({ children, directory, observer }: ReadTarget, server: OpencodeServer, signal: AbortSignal): Promise<void> {
  for (const child of children) observer?.childHistory(await server.operations(child, directory).messages({}, { signal }));
}

function factOf(status: Snapshot['status'][string] | undefined): SnapshotFacts['status'] {
  if (status === undefined || status.type === 'idle') return 'idle';
  if (status.type === 'busy') return 'busy';
  return { attempt: status.attempt, message: status.message, nextAtMs: status.next };
}

/** The host's own list follows, so that later events are told from repeated ones. */
function busyChildrenOf(target: ReadTarget, { status, startedAtMs }: Snapshot): string[] {
  const busy: string[] = [];
  for (const child of target.children) {
    const isBusy = status[child] !== undefined && status[child].type !== 'idle';
    target.childStatus(child, isBusy, startedAtMs);
    if (isBusy) busy.push(child);
  }
  return busy;
}

/** Open asks of the session and its sub-agents. The policy sees those that no event told of. */
function openAsksOf(target: ReadTarget, { status, permissions, questions, startedAtMs }: Snapshot): OpenAsk[] {
  const { id, children, directory } = target;
  // opencode keeps the asks of an aborted turn in its lists; nobody waits for them in an idle session.
  const waits = (sessionId: string) => status[sessionId] !== undefined && (sessionId === id || children.has(sessionId));
  const concerns = ({ sessionID, id: askId }: { sessionID: string; id: string }) => waits(sessionID) && !target.isOldAsk(askId);
  const asks: OpenAsk[] = [];
  for (const { id: askId, sessionID, permission, patterns } of permissions.filter(concerns)) {
    asks.push({ id: askId, kind: 'permission', sessionId: sessionID, atMs: startedAtMs, permission, patterns });
    target.askOpened({ kind: 'permission', id: askId, sessionId: sessionID, permission, patterns }, directory, startedAtMs);
  }
  for (const { id: askId, sessionID, questions: asked } of questions.filter(concerns)) {
    asks.push({ id: askId, kind: 'question', sessionId: sessionID, atMs: startedAtMs });
    const shown = asked.map(({ question, options }) => ({ question, options: options.map(({ label }) => label) }));
    target.askOpened({ kind: 'question', id: askId, sessionId: sessionID, questions: shown }, directory, startedAtMs);
  }
  return asks;
}
