import { stepInspector, StepReader } from '@opencode-manager/actors/machines';
import type { AnyStateMachine, InspectionEvent } from 'xstate';
import type { Lane, RunRecord } from '../trace/format.ts';

export interface RecorderOptions {
  readonly now: () => number;
  readonly onRecord: (record: RunRecord) => void;
}

/** Numbers what the machines of a simulation report, as a live run does. */
export class Recorder {
  readonly #options: RecorderOptions;
  readonly #reader = new StepReader();
  #seq = 0;
  /** Set around what the user sends: nobody else would be known to have sent it. */
  #sender: Lane | undefined;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  record(record: Omit<RunRecord, 'seq' | 'atMs'>): void {
    this.#seq += 1;
    this.#options.onRecord({ seq: this.#seq, atMs: this.#options.now(), ...record });
  }

  inspector(machine: AnyStateMachine, actor: string): (event: InspectionEvent) => void {
    return stepInspector({
      machine,
      actor,
      now: this.#options.now,
      onStep: (step) => this.record({ ...(this.#reader.read(step) as RunRecord), ...(this.#sender && { from: this.#sender }) }),
    });
  }

  /** Runs a send of the user's. */
  asUser(send: () => void): void {
    this.#sender = 'user';
    try {
      send();
    } finally {
      this.#sender = undefined;
    }
  }
}
