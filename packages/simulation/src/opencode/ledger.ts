import type { AskAnswer } from '../ports.ts';

/** A prompt, command or shell line, as the server had it. */
export interface LedgerTurn {
  /** The task that it is of, by its key in the plan; empty for sub-agents. */
  readonly task: string;
  readonly sessionId: string;
  readonly rootId: string;
  readonly messageId: string;
  /** Id of the message that stands for it in the session; another one for a command of 2.x. */
  readonly promptId: string;
  /** That message is in the session. */
  isStored: boolean;
  readonly kind: 'prompt' | 'command' | 'shell';
  readonly deliveredAtMs: number;
  /** How often the server got it. */
  deliveries: number;
  /** Its id sorts before a message that the session had. */
  readonly isOutOfOrder: boolean;
  begunAtMs?: number;
  endedAtMs?: number;
  /** When its last message was written: from then on its answer stands, whatever becomes of the process. */
  finalAtMs?: number;
  /** When the status became idle; with an early idle before the end. */
  idleAtMs?: number;
  /** `withdrawn`: it was taken back before it began. */
  how?: 'finished' | 'failed' | 'aborted' | 'died' | 'merged' | 'never' | 'withdrawn';
  /** The newest sign of activity: a message, a part, a retry; not that it was aborted. */
  activeAtMs: number;
  /** opencode waits for its provider until then. */
  retryUntilMs?: number;
  retries: number;
  /** Waits for the provider, from and to when. */
  readonly waits: { readonly fromMs: number; toMs: number }[];
  /** The newest sign of activity before the first abort. */
  activeAtAbortMs?: number;
  /** How often the provider was asked, sub-agents apart. */
  modelCalls: number;
  /** Bytes that the model has said, sub-agents apart; and since when that is more than a turn may say. */
  saidBytes: number;
  oversizedAtMs?: number;
  /** When aborts reached the server. */
  readonly aborts: number[];
  readonly provider: string;
  /** False when no event tells its end, or one does too early. */
  readonly isTold: boolean;
}

export interface LedgerAsk {
  readonly id: string;
  readonly sessionId: string;
  readonly rootId: string;
  readonly kind: 'permission' | 'question';
  readonly permission: string;
  readonly pattern: string;
  readonly openedAtMs: number;
  closedAtMs?: number;
  answer?: AskAnswer['type'];
  /** The turn that waited for it has ended. */
  staleAtMs?: number;
}

/** A request that carries a turn. */
export interface LedgerRequest {
  readonly task: string;
  readonly messageId: string;
  readonly sessionId: string;
  readonly atMs: number;
  /** It does not ask for the task: it has the session go on. */
  readonly goesOn: boolean;
  /** It says what is wrong with the answer before it. */
  readonly corrects: boolean;
  /** The account that it asks. */
  readonly provider: string;
  /** What the manager was told instead of an answer, and when. */
  failure?: { readonly code: string; readonly atMs: number };
}

/** What truly happened; only the simulated server writes it, only the oracle reads it. */
export class Ledger {
  readonly turns: LedgerTurn[] = [];
  readonly asks: LedgerAsk[] = [];
  /** What the manager's side sent, whether it arrived or not. */
  readonly sent: LedgerRequest[] = [];
  /** Sessions that were deleted, by whomever. */
  readonly deletions: { readonly sessionId: string; readonly atMs: number }[] = [];
  readonly abortsSent: { readonly sessionId: string; readonly atMs: number }[] = [];
  /** When some event stream was gone, or brought nothing; the end is absent while one does. */
  readonly darkness: { readonly fromMs: number; toMs?: number }[] = [];
  /** When a server died that nobody had asked to. */
  readonly deaths: number[] = [];
  /** When a server was lost or did not answer. */
  readonly losses: number[] = [];
  readonly #darkStreams = new Set<object>();

  /** An event stream brings nothing any more. */
  goDark(stream: object, fromMs: number): void {
    if (this.#darkStreams.size === 0) this.darkness.push({ fromMs });
    this.#darkStreams.add(stream);
  }

  /** It is live again, or nobody follows it any more: another has taken its place. */
  endDark(stream: object, toMs: number): void {
    if (this.#darkStreams.delete(stream) && this.#darkStreams.size === 0) Object.assign(this.darkness.at(-1)!, { toMs });
  }

  turnOf(messageId: string): LedgerTurn | undefined {
    return this.turns.findLast((turn) => turn.messageId === messageId);
  }

  turnsOf(task: string): LedgerTurn[] {
    return this.turns.filter((turn) => turn.task === task);
  }

  /** Turns of a session and of its sub-agents that are not over. */
  running(rootId: string): LedgerTurn[] {
    return this.turns.filter((turn) => turn.rootId === rootId && turn.begunAtMs !== undefined && turn.endedAtMs === undefined);
  }
}
