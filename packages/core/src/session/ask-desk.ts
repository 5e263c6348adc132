import { isManagerError } from '../errors/index.ts';
import type { CallOptions } from '../http/index.ts';
import { decideAsk, rulesFor, type Ask, type AskDecision, type PermissionPolicy } from '../policy/index.ts';
import type { OpenAsk, PermissionAnswer, QuestionAnswer } from '../protocol/index.ts';
import type { TurnAsk } from './types.ts';

export interface AskContext {
  answerPermission(ask: OpenAsk, answer: PermissionAnswer, options?: CallOptions): Promise<void>;
  answerQuestion(ask: OpenAsk, answer: QuestionAnswer, options?: CallOptions): Promise<void>;
}

interface Entry {
  readonly ask: Ask;
  answer: TurnAsk['answer'];
  reason: string | undefined;
  /** A decision is under way, or there is nothing left to do. */
  settled: boolean;
  attempts: number;
}

/** Deadline of one answer, in milliseconds; an answer that did not get through is sent again when the ask is seen again. */
const answerTimeoutMs = 5000;
const mostAttempts = 3;

/** Answers the asks of one turn by its policy, each once, and keeps the record of each. */
export class AskDesk {
  readonly #context: AskContext;
  readonly #policy: PermissionPolicy;
  readonly #directory: string;
  readonly #entries = new Map<string, Entry>();
  #closed = false;
  #failure: unknown;

  constructor(context: AskContext, policy: PermissionPolicy, directory: string) {
    this.#context = context;
    this.#policy = policy;
    this.#directory = directory;
  }

  /** Takes an ask that is open now; again and again is fine. The decision may take its time, nobody waits here. */
  see(ask: Ask): void {
    const known = this.#entries.get(ask.id);
    if (this.#closed || known?.settled) return;
    const entry = known ?? { ask, answer: 'unanswered' as const, reason: undefined, settled: false, attempts: 0 };
    this.#entries.set(ask.id, entry);
    entry.settled = true;
    void this.#handle(entry);
  }

  /** The turn is over: decisions that come now are not sent. */
  close(): void {
    this.#closed = true;
  }

  /** @throws what kept an answer from the server, again and again */
  assertWorking(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** opencode ends a turn whose question was rejected. */
  get rejectedQuestion(): boolean {
    return this.#entries.values().some(({ ask, answer }) => ask.kind === 'question' && answer === 'denied');
  }

  records(): TurnAsk[] {
    return Array.from(this.#entries.values(), recordOf);
  }

  async #handle(entry: Entry): Promise<void> {
    const decision = await decideAsk(this.#policy, entry.ask);
    if (this.#closed) return;
    if (decision.action === 'escalate') {
      entry.answer = 'escalated';
      return;
    }
    try {
      entry.attempts += 1;
      entry.answer = await this.#send(entry.ask, decision);
      if (decision.action === 'deny') entry.reason = decision.reason;
    } catch (error) {
      // Somebody else was faster.
      if (isManagerError(error, 'NOT_FOUND')) return;
      if (entry.attempts >= mostAttempts) this.#failure = error;
      else entry.settled = false;
    }
  }

  async #send(ask: Ask, decision: AskDecision): Promise<TurnAsk['answer']> {
    const options = { timeoutMs: answerTimeoutMs };
    const open = { id: ask.id, sessionId: ask.sessionId, directory: this.#directory };
    if (ask.kind === 'question') {
      const answered = decision.action === 'answer';
      const answer = answered ? { answers: decision.answers } : { reject: true as const };
      await this.#context.answerQuestion(open, answer, options);
      return answered ? 'answered' : 'denied';
    }
    // `once` always: opencode would apply `always` to every session of the server.
    if (decision.action === 'allow') {
      await this.#context.answerPermission(open, { reply: 'once' }, options);
      return 'allowed';
    }
    // Without a message opencode ends the turn; with one the model goes on.
    const message = (decision.action === 'deny' && decision.message) || 'Denied by policy.';
    await this.#context.answerPermission(open, { reply: 'reject', message }, options);
    return 'denied';
  }
}

function recordOf({ ask, answer, reason }: Entry): TurnAsk {
  return {
    kind: ask.kind,
    sessionId: ask.sessionId,
    ...(ask.permission !== undefined && { permission: ask.permission }),
    ...(ask.patterns && { patterns: ask.patterns }),
    answer,
    ...(reason !== undefined && { reason }),
    ...(ask.kind === 'permission' && answer !== 'allowed' && { rules: rulesFor(ask) }),
  };
}
