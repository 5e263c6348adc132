import type { AssistantMessageFacts, PartFacts, TurnError } from '@opencode-manager/core/protocol';
import type { StepScript, ToolScript } from '../plan/types.ts';
import type { ServerFact } from './facts.ts';
import type { LedgerTurn } from './ledger.ts';
import { abortedError, noteSaid, piecesOf } from './notes.ts';
import { newAnswer, textOf, type StoredMessage, type StoredSession } from './storage.ts';
import type { Surroundings } from './surroundings.ts';

export interface AnswerOptions {
  readonly session: StoredSession;
  readonly record: LedgerTurn;
  readonly emit: (fact: ServerFact) => void;
  /** Does something later, unless the turn is over by then. */
  readonly after: (delayMs: number, label: string, run: () => void) => void;
}

/** How a step ended. */
export interface StepEnd {
  readonly finish?: string;
  readonly error?: TurnError;
}

/** A call of a tool as it stands. `work`: what it has set to work in the background. */
export interface ToolState {
  readonly status: 'pending' | 'running' | 'completed' | 'failed';
  readonly output: string;
  readonly work?: string;
}

/** The assistant message that a turn writes now: as it is stored, and as events tell it. */
export class Answer {
  readonly #world: Surroundings;
  readonly #options: AnswerOptions;
  #stored: StoredMessage | undefined;

  constructor(world: Surroundings, options: AnswerOptions) {
    this.#world = world;
    this.#options = options;
  }

  /** Something is added to it still. */
  get isOpen(): boolean {
    return this.#stored !== undefined && !this.#facts.completed;
  }

  get id(): string {
    return this.#facts.id;
  }

  get text(): string {
    return this.#stored ? textOf(this.#stored) : '';
  }

  get #facts(): AssistantMessageFacts {
    return this.#stored!.message as AssistantMessageFacts;
  }

  /** A further message. */
  begin(parentId: string): void {
    const { session, record, emit } = this.#options;
    this.#stored = newAnswer(this.#world.messageId(), record, parentId);
    session.messages.push(this.#stored);
    session.unended = this.#world.behaviour.showsEndsWithoutAnswer ? 'failed' : undefined;
    this.#world.hit('step');
    emit({ type: 'message', message: this.#stored.message });
  }

  /** The provider is asked, or has taken the call. */
  step(): void {
    const part: PartFacts = { id: this.#world.id('prt'), messageId: this.id, type: 'step' };
    const isFurther = this.#stored!.parts.some(({ type }) => type === 'step');
    // Of tries within one message, reads of 2.x show the first.
    if (isFurther && this.#world.behaviour.tellsStepsWhenAsked) this.#options.emit({ type: 'part', part });
    else this.part(part);
  }

  say(text: string, ended: boolean): Extract<PartFacts, { type: 'text' }> {
    const part = { id: this.#world.id('prt'), messageId: this.id, type: 'text', text, ended } as const;
    noteSaid(this.#world, this.#options.record, text);
    this.part(part);
    return part;
  }

  /** Says what a step has to say, piece by piece. */
  speak(step: StepScript, onSaid: () => void): void {
    const { record, emit, after } = this.#options;
    const pieces = piecesOf(step);
    const [first, ...more] = pieces;
    if (first === undefined) return onSaid();
    const part = this.say(first, pieces.length === 1 && !step.hangs);
    const next = (said: string, left: readonly string[]): void => {
      const [delta, ...rest] = left;
      if (delta === undefined) return onSaid();
      after(5, 'says', () => {
        noteSaid(this.#world, record, delta);
        emit({ type: 'delta', messageId: part.messageId, partId: part.id, field: 'text', delta });
        const text = said + delta;
        if (rest.length === 0 && !step.hangs) this.part({ ...part, text, ended: true });
        next(text, rest);
      });
    };
    next(first, more);
  }

  tool(id: string, { tool, input }: ToolScript, { status, output, work }: ToolState): void {
    if (work !== undefined) this.#options.session.openWork.add(work);
    this.part({ id, messageId: this.id, type: 'tool', tool, status, input: { input }, output }, work);
  }

  part(part: PartFacts, work?: string): void {
    const { parts } = this.#stored!;
    const known = parts.findIndex(({ id }) => id === part.id);
    if (known === -1) parts.push(part);
    else parts[known] = part;
    this.#options.emit({ type: 'part', part, ...(work !== undefined && { work }) });
  }

  complete(end: StepEnd): void {
    this.#close(end);
    this.#options.emit({ type: 'message', message: this.#facts });
  }

  /** The turn ended in the midst of it, or without one: reads of 2.x show an end that no event tells. */
  endUntold(error: TurnError, parentId: string): void {
    const { session, record } = this.#options;
    if (this.isOpen) {
      this.#stored!.message = { ...this.#facts, completed: true, error };
      return;
    }
    const asked = session.messages.findLastIndex(({ message }) => message.id === parentId);
    if (session.messages.slice(asked).some(({ message }) => message.role === 'assistant')) return;
    const { message } = newAnswer(this.#world.messageId(), record, parentId);
    session.messages.push({
      message: { ...(message as AssistantMessageFacts), completed: true, providerId: '', model: '', error },
      parts: [],
    });
  }

  /** The process died: what was streamed is lost, what was running stays as it is (A3). One of 2.x that ends in order closes the step. */
  die(inOrder: boolean): void {
    if (!this.#stored || !this.isOpen) return;
    if (inOrder) return this.#close({ error: abortedError });
    const { parts } = this.#stored;
    for (const [index, part] of parts.entries()) if (part.type === 'text' && !part.ended) parts[index] = { ...part, text: '' };
    const isSilent = parts.every(({ type }) => type === 'step');
    const { session } = this.#options;
    if (!isSilent || !this.#world.behaviour.losesSilentSteps) return;
    session.messages.splice(session.messages.indexOf(this.#stored), 1);
    // What stands before it was to be followed.
    session.unended = 'any';
  }

  #close({ finish, error }: StepEnd): void {
    const before = this.#facts;
    const tokens = { ...before.tokens, input: 100, output: 10 + this.text.length };
    this.#stored!.message = { ...before, completed: true, tokens, ...(finish !== undefined && { finish }), ...(error && { error }) };
  }
}
