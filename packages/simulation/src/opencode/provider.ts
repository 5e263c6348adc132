import type { ProviderRetry, TurnError } from '@opencode-manager/core/protocol';
import type { StepScript } from '../plan/types.ts';
import type { Answer } from './answer.ts';
import type { ServerFact } from './facts.ts';
import type { LedgerTurn } from './ledger.ts';
import { noteRefusal } from './notes.ts';
import type { Surroundings } from './surroundings.ts';

/** The turn whose provider is asked. */
export interface ProviderHost {
  readonly record: LedgerTurn;
  readonly answer: Answer;
  /** Which user message is answered now. */
  readonly parentId: () => string;
  readonly setStatus: (status: 'busy' | ProviderRetry) => void;
  readonly emit: (fact: ServerFact) => void;
  /** Does something later, unless the turn is over by then. */
  readonly after: (delayMs: number, label: string, run: () => void) => void;
  /** The provider refuses for good. */
  readonly onFailed: (error: TurnError) => void;
}

/** Asks the provider for the steps of a turn; one that refuses is asked again after a wait. */
export class Provider {
  readonly #world: Surroundings;
  readonly #host: ProviderHost;

  constructor(world: Surroundings, host: ProviderHost) {
    this.#world = world;
    this.#host = host;
  }

  /** Asks for a step until there is an answer. */
  ask(step: StepScript, onAnswer: () => void): void {
    this.#try(step, 0, onAnswer);
  }

  #try(step: StepScript, refused: number, onAnswer: () => void): void {
    const { refusal, thinkMs } = step;
    const { record, answer, after } = this.#host;
    record.modelCalls += 1;
    if (this.#world.behaviour.tellsStepsWhenAsked) answer.step();
    if (refusal && refused < refusal.times) return this.#wait(step, refused + 1, onAnswer);
    after(thinkMs, 'thinks', () => {
      this.#beginAnswer();
      onAnswer();
    });
  }

  #wait(step: StepScript, attempt: number, onAnswer: () => void): void {
    const refusal = step.refusal!;
    const { statusCode, message, brokenText } = refusal;
    const { queue, behaviour, count } = this.#world;
    const { record, answer, parentId, setStatus, emit, after, onFailed } = this.#host;
    noteRefusal(this.#world, refusal);
    const error: TurnError = { kind: 'provider', name: 'ProviderError', message, statusCode, retryable: true };
    if (attempt > behaviour.mostRetries) {
      count('retry-spent');
      return onFailed(error);
    }
    if (brokenText !== undefined) this.#breakOff(brokenText, error);
    const afterMs = behaviour.retryDelayMs(attempt, refusal);
    const nextAtMs = queue.nowMs + afterMs;
    record.retries += 1;
    record.retryUntilMs = nextAtMs;
    record.waits.push({ fromMs: queue.nowMs, toMs: nextAtMs });
    setStatus({ attempt, message, nextAtMs });
    emit({ type: 'session.retrying', retry: { attempt, message, nextAtMs } });
    after(afterMs, 'asks the provider again', () => {
      setStatus('busy');
      // Of 2.x, a further message tells that it waits no longer.
      if (answer.isOpen) emit({ type: 'session.busy' });
      else answer.begin(parentId());
      this.#try(step, attempt, onAnswer);
    });
  }

  /** The stream breaks off after it has said something. */
  #breakOff(text: string, error: TurnError): void {
    this.#beginAnswer();
    this.#host.answer.say(text, false);
    if (!this.#world.behaviour.keepsBrokenText) this.#host.answer.complete({ error });
  }

  /** The provider has taken the call: its answer begins. */
  #beginAnswer(): void {
    if (!this.#world.behaviour.tellsStepsWhenAsked) this.#host.answer.step();
  }
}
