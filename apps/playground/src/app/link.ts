import type { Json, RunInfo, RunRecord } from '../trace/format.ts';

export interface LinkListener {
  onRecords(records: readonly RunRecord[]): void;
  /** Everything so far is void: another run, or more was missed than the server kept. */
  onReset(): void;
  onState(state: LinkState): void;
}

export type LinkState = 'connecting' | 'connected' | 'lost' | 'ended';

/**
 * The one event stream from a live run. The browser reconnects by itself and names the last record it saw, so that the
 * server goes on behind it; what comes twice nevertheless is dropped here.
 */
export class LiveLink {
  readonly #source: EventSource;
  readonly #listener: LinkListener;
  #seen = 0;

  constructor(listener: LinkListener) {
    this.#listener = listener;
    this.#source = new EventSource('./events');
    this.#source.addEventListener('open', () => listener.onState('connected'));
    this.#source.addEventListener('error', () => listener.onState('lost'));
    this.#source.addEventListener('records', (event) => this.#take(JSON.parse(event.data as string) as RunRecord[]));
    this.#source.addEventListener('reset', () => this.#reset());
    this.#source.addEventListener('end', () => this.#end());
  }

  close(): void {
    this.#source.close();
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

  /** The run is over: a reconnect would find nobody. */
  #end(): void {
    this.#source.close();
    this.#listener.onState('ended');
  }
}

/** What kind of run the page was opened for; a page without a server of ours simulates. */
export async function readRunInfo(): Promise<RunInfo> {
  const simulation: RunInfo = { mode: 'simulation', title: 'Simulation', control: false, content: false };
  const response = await fetch('./run').catch(() => undefined);
  if (!response?.ok || !response.headers.get('content-type')?.includes('json')) return simulation;
  return (await response.json()) as RunInfo;
}

/** Asks the live run to do something. Resolves with what went wrong, if anything did. */
export async function postCommand(command: {
  readonly actor: string;
  readonly type: string;
  readonly payload: Json;
}): Promise<string | undefined> {
  const request = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(command) };
  const response = await fetch('./send', request).catch(() => undefined);
  if (!response) return 'The run does not answer.';
  if (response.ok) return undefined;
  const { message } = (await response.json().catch(() => ({}))) as { message?: string };
  return message ?? `The run refused it (${response.status}).`;
}
