import { contextChanges, plainContext, type ContextChange } from './plain-context.ts';
import type { MachineStep } from './step.ts';

/** A step as plain JSON: what may be logged, stored or sent. What is empty or did not change is left out. */
export interface PlainStep {
  readonly actor: string;
  /** Milliseconds, by the clock of who runs the machine. */
  readonly atMs: number;
  readonly type: string;
  /** The event without its type. */
  readonly payload?: unknown;
  /** State afterwards, as a dotted path; present when it changed. */
  readonly path?: string;
  /** Transitions taken, in order, as in {@link MachineStep}. */
  readonly transitions?: readonly string[];
  readonly effects?: readonly string[];
  /** What changed of the context: the first step of an actor has all of it. */
  readonly changes?: readonly ContextChange[];
}

export interface StepReaderOptions {
  /** Takes out of a payload or a context what must not be seen. Gives the same object for the same object, or the reader compares in vain. */
  readonly redact?: (value: unknown) => unknown;
}

/**
 * Reads steps as plain JSON. Remembers the newest context of each actor, so that each step says what it changed; forgets
 * an actor that was stopped.
 *
 * @example
 * const reader = new StepReader()
 * createSessionPool({ inspect: (step) => log.write(`${JSON.stringify(reader.read(step))}\n`) })
 * @public
 */
export class StepReader {
  readonly #redact: (value: unknown) => unknown;
  readonly #contexts = new Map<string, unknown>();

  constructor({ redact = (value) => value }: StepReaderOptions = {}) {
    this.#redact = redact;
  }

  read(step: MachineStep): PlainStep {
    const { actor, atMs, event, from, path, transitions, effects } = step;
    const context = this.#redact(plainContext(step));
    const changes = contextChanges(this.#contexts.get(actor), context);
    if (event.type === 'xstate.stop') this.#contexts.delete(actor);
    else this.#contexts.set(actor, context);
    const { type, ...payload } = event;
    return {
      actor,
      atMs,
      type,
      ...(Object.keys(payload).length > 0 && { payload: this.#redact(payload) }),
      ...(path !== from && { path }),
      ...(transitions.length > 0 && { transitions }),
      ...(effects.length > 0 && { effects }),
      ...(changes.length > 0 && { changes }),
    };
  }
}
