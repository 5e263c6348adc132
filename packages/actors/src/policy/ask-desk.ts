import { isManagerError, type OpencodeServer } from '@opencode-manager/core';
import { ruleFor } from '../machines/turn-verdict.ts';
import type { AnsweredAsk, Ask, AskDecision, PermissionPolicy } from '../task/types.ts';
import { decideAsk } from './permission-policy.ts';

export interface AskDeskOptions {
  readonly server: Pick<OpencodeServer, 'answerPermission' | 'answerQuestion'>;
  readonly policy: PermissionPolicy;
  /** The ask is off the table, whoever answered it. Called once an ask. */
  readonly onClosed: (id: string, how: { readonly rejectedQuestion: boolean }) => void;
}

interface Entry {
  readonly ask: Ask;
  answer: AnsweredAsk['answer'];
  closed: boolean;
}

/** Deadline of one answer, in milliseconds; an answer that did not get through is sent once more. */
const answerTimeoutMs = 5000;

/** Answers the asks of one turn by its policy, and keeps the record of each. */
export class AskDesk {
  readonly #options: AskDeskOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: AskDeskOptions) {
    this.#options = options;
  }

  /** False for an ask that is known already. */
  open(ask: Ask, directory: string): boolean {
    if (this.#entries.has(ask.id)) return false;
    const entry: Entry = { ask, answer: 'unanswered', closed: false };
    this.#entries.set(ask.id, entry);
    void this.#decide(entry, directory);
    return true;
  }

  /** Somebody answered: this desk, or another client of the server. */
  replied(id: string, answer: AnsweredAsk['answer']): void {
    const entry = this.#entries.get(id);
    if (entry) this.#close(entry, answer);
  }

  /** The turn is over: decisions that come now are not sent. Gives the ids of all its asks. */
  close(): string[] {
    for (const entry of this.#entries.values()) entry.closed = true;
    return [...this.#entries.keys()];
  }

  records(): AnsweredAsk[] {
    return Array.from(this.#entries.values(), recordOf);
  }

  async #decide(entry: Entry, directory: string): Promise<void> {
    const decision = await decideAsk(this.#options.policy, entry.ask);
    if (decision.action === 'escalate' || entry.closed) return;
    const answer = await this.#send(entry.ask, decision, directory).catch((error: unknown) =>
      this.#sendAgain(error, entry, decision, directory),
    );
    if (answer) this.#close(entry, answer);
  }

  /** An ask that is gone needs no answer; one whose answer was lost gets it again. Else it stays open for its deadline. */
  async #sendAgain(error: unknown, entry: Entry, decision: AskDecision, directory: string): Promise<AnsweredAsk['answer'] | undefined> {
    if (isManagerError(error, 'NOT_FOUND')) return entry.answer;
    return this.#send(entry.ask, decision, directory).catch(() => undefined);
  }

  async #send(ask: Ask, decision: AskDecision, directory: string): Promise<AnsweredAsk['answer']> {
    const { server } = this.#options;
    const options = { timeoutMs: answerTimeoutMs };
    if (ask.kind === 'question') {
      const answered = decision.action === 'answer';
      await server.answerQuestion(ask.id, directory, answered ? { answers: decision.answers } : { reject: true }, options);
      return answered ? 'answered' : 'denied';
    }
    // `once` always: opencode would apply `always` to every session of the server.
    if (decision.action === 'allow') {
      await server.answerPermission(ask.id, directory, { reply: 'once' }, options);
      return 'allowed';
    }
    const message = decision.action === 'deny' ? decision.message : undefined;
    // Without a message opencode ends the turn; with one the model goes on.
    await server.answerPermission(ask.id, directory, { reply: 'reject', message: message ?? 'Denied by policy.' }, options);
    return 'denied';
  }

  #close(entry: Entry, answer: AnsweredAsk['answer']): void {
    if (entry.closed) return;
    entry.closed = true;
    entry.answer = answer;
    this.#options.onClosed(entry.ask.id, { rejectedQuestion: entry.ask.kind === 'question' && answer === 'denied' });
  }
}

function recordOf({ ask, answer }: Entry): AnsweredAsk {
  return {
    kind: ask.kind,
    session_id: ask.sessionId,
    ...(ask.permission !== undefined && { permission: ask.permission }),
    ...(ask.patterns && { patterns: ask.patterns }),
    answer,
    ...(ask.kind === 'permission' && answer !== 'allowed' && { rule: ruleFor(ask) }),
  };
}
