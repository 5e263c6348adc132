import { isManagerError } from '@opencode-manager/core';
import type { AskFacts } from '@opencode-manager/core/protocol';
import type { AskAnswer, ServerPort } from '../ports/index.ts';
import { ruleFor } from '../machines/turn-verdict.ts';
import type { AnsweredAsk, Ask, AskDecision, PermissionPolicy } from '../task/types.ts';
import { decideAsk } from './permission-policy.ts';

export interface AskDeskOptions {
  readonly server: Pick<ServerPort, 'answer'>;
  readonly taskId: string;
  readonly policy: PermissionPolicy;
  /** The ask is off the table, whoever answered it. Called once an ask. */
  readonly onClosed: (id: string, how: { readonly rejectedQuestion: boolean }) => void;
}

interface Entry {
  readonly ask: AskFacts;
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
  open(ask: AskFacts): boolean {
    if (this.#entries.has(ask.id)) return false;
    const entry: Entry = { ask, answer: 'unanswered', closed: false };
    this.#entries.set(ask.id, entry);
    void this.#decide(entry);
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

  async #decide(entry: Entry): Promise<void> {
    const decision = await decideAsk(this.#options.policy, askOf(entry.ask, this.#options.taskId));
    if (decision.action === 'escalate' || entry.closed) return;
    const answer = await this.#send(entry.ask, decision).catch((error: unknown) => this.#sendAgain(error, entry, decision));
    if (answer) this.#close(entry, answer);
  }

  /** An ask that is gone needs no answer; one whose answer was lost gets it again. Else it stays open for its deadline. */
  async #sendAgain(error: unknown, entry: Entry, decision: AskDecision): Promise<AnsweredAsk['answer'] | undefined> {
    if (isManagerError(error, 'NOT_FOUND')) return entry.answer;
    return this.#send(entry.ask, decision).catch(() => undefined);
  }

  async #send(ask: AskFacts, decision: AskDecision): Promise<AnsweredAsk['answer']> {
    const answer = answerTo(ask, decision);
    await this.#options.server.answer(ask, answer, { timeoutMs: answerTimeoutMs });
    return ({ allow: 'allowed', deny: 'denied', answer: 'answered' } as const)[answer.type];
  }

  #close(entry: Entry, answer: AnsweredAsk['answer']): void {
    if (entry.closed) return;
    entry.closed = true;
    entry.answer = answer;
    this.#options.onClosed(entry.ask.id, { rejectedQuestion: entry.ask.kind === 'question' && answer === 'denied' });
  }
}

function answerTo({ kind }: AskFacts, decision: AskDecision): AskAnswer {
  if (kind === 'question') return decision.action === 'answer' ? { type: 'answer', answers: decision.answers } : { type: 'deny' };
  if (decision.action === 'allow') return { type: 'allow' };
  // Without a message opencode ends the turn; with one the model goes on.
  return { type: 'deny', message: (decision.action === 'deny' ? decision.message : undefined) ?? 'Denied by policy.' };
}

/** As a callback sees it. */
function askOf({ kind, id, sessionId, permission, patterns, questions }: AskFacts, taskId: string): Ask {
  return {
    kind,
    id,
    sessionId,
    taskId,
    ...(permission !== undefined && { permission }),
    ...(patterns && { patterns }),
    ...(questions && { questions: questions.map(({ question, options }) => ({ question, options: options.map(({ label }) => label) })) }),
  };
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
