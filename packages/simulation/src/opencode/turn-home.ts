import type { TurnScript } from '../plan/types.ts';
import type { Asks } from './asks.ts';
import type { ServerFact } from './facts.ts';
import type { LedgerTurn } from './ledger.ts';
import type { StoredSession } from './storage.ts';
import type { Turn } from './turn.ts';

/** What a turn needs of the process that runs it. */
export interface TurnHome {
  readonly name: string;
  readonly asks: Asks;
  emit(session: StoredSession, fact: ServerFact): void;
  beginChild(parent: StoredSession, script: TurnScript, provider: string, onEnd: (output: string) => void): Turn;
  /** The session has the message of a prompt from now on. */
  store(session: StoredSession, record: LedgerTurn): void;
  /** No turn of the session runs any more. */
  ended(turn: Turn): void;
}

/** What a turn is made of. */
export interface TurnOptions {
  readonly session: StoredSession;
  readonly record: LedgerTurn;
  readonly script: TurnScript;
  /** Of a shell line: it is no execution. */
  readonly isLine?: boolean;
  readonly onEnd?: (output: string) => void;
}
