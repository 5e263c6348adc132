import type { EventSourceMessage } from 'eventsource-parser';
import type { Json, RunInfo, RunRecord } from '../trace/format.ts';
import { ask } from './access.ts';
import { EventStream, type LinkState } from './event-stream.ts';

export interface LinkListener {
  onRecords(records: readonly RunRecord[]): void;
  /** Everything so far is void: another run, or more was missed than the server kept. */
  onReset(): void;
  onState(state: LinkState): void;
}

/** The records of a live run. What comes twice after a lost connection is dropped here. */
export class LiveLink {
  readonly #listener: LinkListener;
  readonly #stream: EventStream;
  #seen = 0;

  constructor(listener: LinkListener) {
    this.#listener = listener;
    this.#stream = new EventStream('./events', {
      onEvent: (event) => this.#onEvent(event),
      onState: (state) => listener.onState(state),
    });
  }

  close(): void {
    this.#stream.close();
  }

  #onEvent({ event, data }: EventSourceMessage): void {
    if (event === 'records') this.#take(JSON.parse(data) as RunRecord[]);
    else if (event === 'reset') this.#reset();
  }

  #take(records: readonly RunRecord[]): void {
    const fresh = records.filter(({ seq }) => seq > this.#seen);
    this.#seen = fresh.at(-1)?.seq ?? this.#seen;
    if (fresh.length > 0) this.#listener.onRecords(fresh);
  }

  #reset(): void {
    this.#seen = 0;
    this.#listener.onReset();
  }
}

/** What kind of run the page was opened for: `refused` without access; a page without a server of ours simulates. */
export async function readRunInfo(): Promise<RunInfo | 'refused'> {
  const simulation: RunInfo = { mode: 'simulation', title: 'Simulation', control: false, content: false };
  const response = await ask('./run').catch(() => undefined);
  if (!response?.headers.get('content-type')?.includes('json')) return simulation;
  if (response.status === 401) return 'refused';
  return response.ok ? ((await response.json()) as RunInfo) : simulation;
}

/** Asks the live run to do something. Resolves with what went wrong, if anything did. */
export async function postCommand(command: {
  readonly actor: string;
  readonly type: string;
  readonly payload: Json;
}): Promise<string | undefined> {
  const request = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(command) };
  const response = await ask('./send', request).catch(() => undefined);
  if (!response) return 'The run does not answer.';
  if (response.ok) return undefined;
  const { message } = (await response.json().catch(() => ({}))) as { message?: string };
  return message ?? `The run refused it (${response.status}).`;
}
