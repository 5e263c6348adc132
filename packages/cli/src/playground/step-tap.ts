import type { MachineStep } from '@opencode-manager/actors';

/** The first steps of a pool are kept whole up to this many. */
const earlyLimit = 200;

type Listener = (step: MachineStep) => void;

/**
 * Hands the steps of a pool's machines to the pages that are open. A page that is opened at the start is told all of them;
 * one that comes later is told the state of every actor first. Without a page a step costs one entry in a map.
 */
export class StepTap {
  readonly #listeners = new Set<Listener>();
  readonly #newest = new Map<string, MachineStep>();
  #early: MachineStep[] | undefined = [];

  /** For `createSessionPool({ inspect })`. */
  readonly inspect = (step: MachineStep): void => {
    if (step.event.type === 'xstate.stop') this.#newest.delete(step.actor);
    else this.#newest.set(step.actor, step);
    if (this.#early) this.#keepEarly(step);
    for (const listener of this.#listeners) this.#tell(listener, step);
  };

  /** Tells what was, then what comes. Call the result to stop. */
  listen(listener: Listener): () => void {
    for (const step of this.#early ?? Array.from(this.#newest.values(), asEarlier)) listener(step);
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** This is called in the middle of a machine's step: a page that fails goes without, and the run does not notice. */
  #tell(listener: Listener, step: MachineStep): void {
    try {
      listener(step);
    } catch {
      this.#listeners.delete(listener);
    }
  }

  #keepEarly(step: MachineStep): void {
    this.#early!.push(step);
    if (this.#early!.length >= earlyLimit) this.#early = undefined;
  }
}

/** An actor as it is, without what its newest step was: that happened before. */
function asEarlier(step: MachineStep): MachineStep {
  return { ...step, event: { type: 'earlier' }, from: null, transitions: [], effects: [] };
}
