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

/**
 * Reads what the server knows of a turn: status and asks of the directory (shared with other sessions), the children,
 * and the history when the session is idle or our message is still unconfirmed. The status is read before the
 * history: what is idle then has written its last message.
 */
export async function readTurnState(
  target: ReadTarget,
  server: OpencodeServer,
  accepted: boolean,
  signal: AbortSignal,
): Promise<SnapshotFacts> {
  const { id, directory, operations, observer } = target;
  for (const child of await operations.children({ signal })) target.adoptChild(child.id);
  const snapshot = await server.snapshot(directory, { signal });
  const status = snapshot.status[id];
  const history =
    !accepted || status === undefined || status.type === 'idle' ? observer?.history(await operations.messages({}, { signal })) : undefined;
  return {
    startedAtMs: snapshot.startedAtMs,
    messageId: target.messageId ?? '',
    status: factOf(status),
    busyChildren: busyChildrenOf(target, snapshot),
    asks: openAsksOf(target, snapshot),
    messageFound: history?.found ?? null,
    final: history?.final ?? null,
  };
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
