import { isManagerError } from '@opencode-manager/core/errors';
import { decideAsk, rulesFor, type AskDecision, type PermissionPolicy } from '@opencode-manager/core/policy';
import type { AskFacts } from '@opencode-manager/core/protocol';
import type { AskAnswer, ServerPort } from '../ports/index.ts';
import type { AnsweredAsk } from '../task/types.ts';

export interface AskDeskOptions {
  readonly server: Pick<ServerPort, 'answer'>;
  readonly taskId: string;
  readonly policy: PermissionPolicy;
  /** An answer got through, or the ask is gone. */
  readonly onClosed: (id: string, how: { readonly rejectedQuestion: boolean }) => void;
}

interface Entry {
  readonly ask: AskFacts;
  /** The machine wants it answered: it belongs to the turn. */
  wanted: boolean;
  answer: AnsweredAsk['answer'];
  reason: string | undefined;
}

/** Deadline of one answer, in milliseconds; an answer that did not get through is sent once more. */
const answerTimeoutMs = 5000;

/** Answers the asks of one turn by its policy, and keeps the record of each. Which of them are open is the machine's to know. */
export class AskDesk {
  readonly #options: AskDeskOptions;
  readonly #entries = new Map<string, Entry>();
  #closed = false;

  constructor(options: AskDeskOptions) {
    this.#options = options;
  }

  /** Keeps what opencode tells of an ask, for the policy. */
  know(ask: AskFacts): void {
    if (!this.#entries.has(ask.id)) this.#entries.set(ask.id, { ask, wanted: false, answer: 'unanswered', reason: undefined });
  }

  /** Answers these asks by the policy, each once. */
  answer(ids: readonly string[]): void {
    for (const id of ids) {
      const entry = this.#entries.get(id);
      if (!entry || entry.wanted) continue;
      entry.wanted = true;
      void this.#decide(entry);
    }
  }

  /** The server says how an ask was answered: by this desk, or by another client. */
  replied(id: string, answer: AnsweredAsk['answer']): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    entry.answer = answer;
    this.#tellClosed(entry);
  }

  /** The turn is over: decisions that come now are not sent. */
  close(): void {
    this.#closed = true;
  }

  records(): AnsweredAsk[] {
    return [...this.#entries.values()].filter(({ wanted }) => wanted).map(recordOf);
  }

  async #decide(entry: Entry): Promise<void> {
    const decision = await decideAsk(this.#options.policy, { ...entry.ask, taskId: this.#options.taskId });
    if (decision.action === 'escalate' || this.#closed || entry.answer !== 'unanswered') return;
    if (decision.action === 'deny') entry.reason = decision.reason;
    try {
      await this.#send(entry, answerTo(entry.ask, decision));
    } catch (error) {
      // Somebody else answered, or the turn ended: there is nothing to answer any more.
      if (!isManagerError(error, 'NOT_FOUND')) return;
    }
    this.#tellClosed(entry);
  }

  /** An answer that was lost is sent once more; after that the ask stays open for its deadline. */
  async #send(entry: Entry, answer: AskAnswer): Promise<void> {
    const options = { timeoutMs: answerTimeoutMs };
    const { ask } = entry;
    const { server } = this.#options;
    await server.answer(ask, answer, options).catch((error: unknown) => {
      if (isManagerError(error, 'NOT_FOUND') || entry.answer !== 'unanswered') throw error;
      return server.answer(ask, answer, options);
    });
    this.#note(ask.id, ({ allow: 'allowed', deny: 'denied', answer: 'answered' } as const)[answer.type]);
  }

  #note(id: string, answer: AnsweredAsk['answer']): void {
    const entry = this.#entries.get(id)!;
    if (entry.answer === 'unanswered') entry.answer = answer;
  }

  #tellClosed({ ask, answer }: Entry): void {
    if (this.#closed) return;
    this.#options.onClosed(ask.id, { rejectedQuestion: ask.kind === 'question' && answer === 'denied' });
  }
}

function answerTo({ kind }: AskFacts, decision: AskDecision): AskAnswer {
  if (kind === 'question') return decision.action === 'answer' ? { type: 'answer', answers: decision.answers } : { type: 'deny' };
  if (decision.action === 'allow') return { type: 'allow' };
  // Without a message opencode ends the turn; with one the model goes on.
  const message = decision.action === 'deny' ? decision.message?.trim() : undefined;
  return { type: 'deny', message: message || 'Denied by policy.' };
}

function recordOf({ ask, answer, reason }: Entry): AnsweredAsk {
  return {
    kind: ask.kind,
    session_id: ask.sessionId,
    ...(ask.permission !== undefined && { permission: ask.permission }),
    ...(ask.patterns && { patterns: ask.patterns }),
    answer,
    ...(reason !== undefined && { reason }),
    ...(ask.kind === 'permission' && answer !== 'allowed' && { rules: rulesFor(ask) }),
  };
}
