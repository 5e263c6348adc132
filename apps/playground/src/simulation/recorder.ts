import { StepReader, type MachineStep } from '@opencode-manager/actors/machines';
import type { StreamPort } from '@opencode-manager/actors/hosts';
import type { EventObject } from 'xstate';
import type { Lane, RunRecord } from '../trace/format.ts';

export interface RecorderOptions {
  readonly now: () => number;
  readonly onRecord: (record: RunRecord) => void;
}

/** Numbers what the machines and the event streams of a simulation tell, as a live run does. */
export class Recorder {
  readonly #options: RecorderOptions;
  readonly #reader = new StepReader();
  readonly #actors = new Map<string, MachineStep['ref']>();
  #seq = 0;
  /** The stream that became live last: those of servers that retire beside it are of no interest. */
  #stream: StreamPort | undefined;
  #generation = 0;
  #gaps = 0;
  /** Set around what the user sends: nobody else would be known to have sent it. */
  #sender: Lane | undefined;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** Records so far. */
  get count(): number {
    return this.#seq;
  }

  record(record: Omit<RunRecord, 'seq' | 'atMs'>): void {
    this.#seq += 1;
    this.#options.onRecord({ seq: this.#seq, atMs: this.#options.now(), ...record });
  }

  readonly step = (step: MachineStep): void => {
    if (step.event.type === 'xstate.stop') this.#actors.delete(step.actor);
    else this.#actors.set(step.actor, step.ref);
    this.record({ ...(this.#reader.read(step) as RunRecord), ...(this.#sender && { from: this.#sender }) });
  };

  stream(stream: StreamPort): void {
    stream.watch((notice) => {
      if (notice.type === 'stream.live') {
        this.#stream = stream;
        this.#generation += 1;
        this.#tellStream(notice.type, 'live');
      } else if (stream !== this.#stream) return;
      else if (notice.type === 'stream.gap') {
        this.#gaps += 1;
        this.#tellStream(notice.type, 'reconnecting', { reason: notice.reason });
      } else if (notice.type === 'stream.failed') this.#tellStream(notice.type, 'failed', { message: notice.error.message });
    });
  }

  /** Tells a machine what nobody else does. */
  send(actor: string, event: EventObject): void {
    this.#sender = 'user';
    try {
      this.#actors.get(actor)?.send(event);
    } finally {
      this.#sender = undefined;
    }
  }

  #tellStream(type: string, path: string, more: { readonly reason?: string; readonly message?: string } = {}): void {
    const changes = [
      { path: 'generation', after: this.#generation },
      { path: 'gaps', after: this.#gaps },
    ];
    this.record({ actor: 'stream', type, payload: { generation: this.#generation, ...more }, path, changes });
  }
}
