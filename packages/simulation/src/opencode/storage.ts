import {
  isFinalReason,
  type AssistantMessageFacts,
  type MessageFacts,
  type MessageHistory,
  type PartFacts,
} from '@opencode-manager/core/protocol';
import type { LedgerTurn } from './ledger.ts';

export interface StoredMessage {
  message: MessageFacts;
  readonly parts: PartFacts[];
}

/** A session as it stands in the state directory: it outlives the process. */
export interface StoredSession {
  readonly id: string;
  readonly directory: string;
  readonly parentId: string | undefined;
  readonly rootId: string;
  readonly messages: StoredMessage[];
  /** Work in the background of which no message has told the end. */
  readonly openWork: Set<string>;
  /** Its newest answer is not the end of an execution, if it failed, or whatever it is. */
  unended: 'failed' | 'any' | undefined;
  deleted: boolean;
}

/** The state directory of a server: what every process on it sees. */
export class Storage {
  readonly sessions = new Map<string, StoredSession>();

  create(directory: string, parent?: StoredSession): StoredSession {
    const id = `ses_${String(this.sessions.size + 1).padStart(4, '0')}`;
    const session: StoredSession = {
      id,
      directory,
      parentId: parent?.id,
      rootId: parent?.rootId ?? id,
      messages: [],
      openWork: new Set(),
      unended: undefined,
      deleted: false,
    };
    this.sessions.set(id, session);
    return session;
  }

  find(id: string): StoredSession | undefined {
    const session = this.sessions.get(id);
    return session?.deleted ? undefined : session;
  }

  childrenOf(id: string): StoredSession[] {
    return [...this.sessions.values()].filter(({ parentId, deleted }) => parentId === id && !deleted);
  }

  /** A copy, as a read of the server gives one: of 2.x, the end of a turn that has work in the background is none, nor is a failure that is to be repeated. */
  history({ messages, openWork, unended }: StoredSession): MessageHistory[] {
    const last = messages.findLastIndex(({ message }) => message.role === 'assistant');
    return messages.map(({ message, parts }, index) => ({
      message:
        index === last && isEnd(message) && (openWork.size > 0 || unended === 'any' || (unended === 'failed' && message.error))
          ? { ...message, completed: false }
          : message,
      parts: [...parts],
    }));
  }
}

/** The execution is over with it. */
export function isEnd(message: MessageFacts): message is AssistantMessageFacts {
  return message.role === 'assistant' && (isFinalReason(message.finish) || message.error !== undefined);
}

/** The text of a message as the server has it: of its last try alone. */
export function textOf({ parts }: Pick<StoredMessage, 'parts'>): string {
  const lastTry = parts.findLastIndex(({ type }) => type === 'step');
  return parts.map((part, index) => (part.type === 'text' && index > lastTry ? part.text : '')).join('');
}

/** An assistant message of which nothing is written yet. */
export function newAnswer(
  id: string,
  { sessionId, provider }: Pick<LedgerTurn, 'sessionId' | 'provider'>,
  parentId: string,
): StoredMessage {
  const tokens = { input: 0, output: 0, reasoning: 0, cacheRead: 0, cacheWrite: 0 };
  const from = { providerId: provider, model: `${provider}/one` };
  return { message: { role: 'assistant', id, sessionId, parentId, completed: false, ...from, tokens, costUsd: 0 }, parts: [] };
}
