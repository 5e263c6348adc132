import type { ServerResponse } from 'node:http';
import { eventsInBlock, FloodBlock } from './flood-block.ts';
import type { Ids } from './ids.ts';
import { mixOfSessions } from './mix.ts';
import { RecordWriter, type Route } from './records.ts';
import type { WireEvent } from './turn-script.ts';

/** As opencode's. */
const heartbeatMs = 10_000;

/** Blocks that take turns, so that one can be renewed while another waits for the socket. */
const copies = 3;

/** The session whose idle ends a flood. */
export const endOfFlood = 'ses_endofflood';

/** What a flood is to be. */
export interface FloodOrder {
  readonly sessions: number;
  readonly events: number;
  /** Events a second; as fast as the client takes them when 0. With a rate, each delta holds the time of its sending. */
  readonly eventsPerSecond: number;
}

/** The open connections of the stream, and what is sent on them. */
export class Streams {
  readonly #ids: Ids;
  readonly #writer: RecordWriter;
  readonly #open = new Map<ServerResponse, Route>();
  /** Numbers of stored events go on from flood to flood. */
  #lap = 0;

  constructor(ids: Ids, directory: string) {
    this.#ids = ids;
    this.#writer = new RecordWriter(ids, directory);
  }

  add(response: ServerResponse, route: Route): void {
    const tell = (type: string) => {
      const payload = `{"id":"${this.#ids.next('evt')}","type":"${type}","properties":{}}`;
      response.write(`data: ${route === 'global' ? `{"payload":${payload}}` : payload}\n\n`);
    };
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    tell('server.connected');
    const heartbeat = setInterval(tell, heartbeatMs, 'server.heartbeat');
    this.#open.set(response, route);
    response.on('close', () => {
      clearInterval(heartbeat);
      this.#open.delete(response);
    });
  }

  publish(events: readonly WireEvent[]): void {
    for (const [response, route] of this.#open) response.write(events.map((event) => this.#writer.write(event, route)).join(''));
  }

  /** Sends a flood on the newest connection. Resolves with the characters of its deltas once all is on its way. */
  async flood({ sessions, events, eventsPerSecond }: FloodOrder): Promise<number> {
    const [response, route] = [...this.#open].at(-1)!;
    const characters =
      eventsPerSecond > 0
        ? await this.#sendAtRate(response, route, { sessions, events, eventsPerSecond })
        : await this.#sendBlocks(response, route, sessions, events);
    this.publish([{ sessionId: endOfFlood, type: 'session.idle', properties: { sessionID: endOfFlood }, stored: false }]);
    return characters;
  }

  async #sendBlocks(response: ServerResponse, route: Route, sessions: number, events: number): Promise<number> {
    const blocks = Array.from({ length: copies }, () => ({ block: new FloodBlock(sessions, route, this.#ids), sent: Promise.resolve() }));
    let characters = 0;
    for (let done = 0; done < events; done += eventsInBlock) {
      const next = blocks[(done / eventsInBlock) % copies]!;
      await next.sent;
      next.block.renew(++this.#lap);
      characters += next.block.deltaCharacters;
      next.sent = new Promise((resolve) => response.write(next.block.bytes, () => resolve()));
    }
    await Promise.all(blocks.map(({ sent }) => sent));
    return characters;
  }

  async #sendAtRate(response: ServerResponse, route: Route, { sessions, events, eventsPerSecond }: FloodOrder): Promise<number> {
    const mix = mixOfSessions(sessions, this.#ids, 42, stamp);
    const startedAtMs = performance.now();
    for (let sent = 0; sent < events;) {
      const due = Math.min(events, Math.floor(((performance.now() - startedAtMs) / 1000) * eventsPerSecond));
      // Each event is written by itself, as a server does that publishes one after the other.
      for (; sent < due; sent += 1) response.write(this.#writer.write(mix.next().value, route));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return 0;
  }
}

/** Microseconds of the machine's monotonic clock, which all processes share: `@` and sixteen digits. */
function stamp(): string {
  return `@${String(process.hrtime.bigint() / 1000n).padStart(16, '0')}`;
}
