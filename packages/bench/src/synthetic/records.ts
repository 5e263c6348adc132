import type { Ids } from './ids.ts';
import type { WireEvent } from './turn-script.ts';

/** The routes of opencode's stream: `/global/event` names the directory and numbers stored events, `/event` does neither. */
export type Route = 'global' | 'directory';

/** Numbers of stored events begin here, so that all of them have as many digits. */
const firstSequence = 1_000_000;

/** Writes events as the records of a stream. */
export class RecordWriter {
  readonly #ids: Ids;
  readonly #directory: string;
  readonly #sequences = new Map<string, number>();

  constructor(ids: Ids, directory: string) {
    this.#ids = ids;
    this.#directory = JSON.stringify(directory);
  }

  write(event: WireEvent, route: Route): string {
    const id = this.#ids.next('evt');
    const payload = `{"id":"${id}","type":"${event.type}","properties":${JSON.stringify(event.properties)}}`;
    if (route === 'directory') return `data: ${payload}\n\n`;
    return this.#global(payload) + (event.stored ? this.#number(id, event) : '');
  }

  #global(payload: string): string {
    return `data: {"directory":${this.#directory},"project":"synthetic","payload":${payload}}\n\n`;
  }

  #number(id: string, { sessionId, type, properties }: WireEvent): string {
    const sequence = this.#sequences.get(sessionId) ?? firstSequence;
    this.#sequences.set(sessionId, sequence + 1);
    const head = `"id":"${id}","type":"${type}.1","seq":${sequence},"aggregateID":"${sessionId}"`;
    return this.#global(`{"type":"sync","syncEvent":{${head},"data":${JSON.stringify(properties)}}}`);
  }
}
