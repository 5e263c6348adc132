import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { eventId } from './events.ts';

interface Stored {
  readonly id: string;
  readonly aggregate_id: string;
  readonly seq: number;
  readonly type: string;
  readonly data: Record<string, unknown>;
}

/** A peer on the wire that speaks opencode's event protocol byte for byte, for what the real server cannot be made to do. */
export interface SsePeer extends AsyncDisposable {
  credentials(): { url: string; authorization: string };
  /** Number of stream connections that were opened so far. */
  readonly opened: number;
  /** Stream connections that are open. */
  readonly open: number;
  /** Bodies of the history requests. */
  readonly historyRequests: Record<string, number>[];
  /** Sends raw text to every open stream connection; resolves when it was written. */
  send(text: string | Buffer): Promise<void>;
  /**
   * Publishes an event as opencode does: stored (with its `sync` record and in the history) when `stored` is set;
   * `cut-off` leaves the record out, as a loss between the two does.
   */
  publish(sessionId: string, type: string, properties: Record<string, unknown>, stored?: boolean | 'cut-off'): string;
  /** What the next stream requests get instead of a stream, until it is taken back with `undefined`. */
  answerWith(answer: { status: number; contentType: string; body: string } | undefined): void;
  /** True: a new connection gets its head, but no first record. */
  holdFirstRecord(hold: boolean): void;
  /** A new connection is subscribed only after so many probes, as opencode does it some time after its greeting. */
  subscribeAfter(probes: number): void;
  /** So many history requests are answered with an error. */
  refuseHistory(times: number): void;
  /** Runs once, after a history request was read and before it is answered. */
  beforeHistory(act: (() => void) | undefined): void;
  /** Ends the stream connections: by FIN, or by RST. */
  drop(how: 'end' | 'reset'): void;
}

export const secret = 'Basic c2VjcmV0OnNlY3JldA==';

export function frame(payload: Record<string, unknown>, directory = '/work'): string {
  return `data: ${JSON.stringify({ directory, project: 'p', payload })}\n\n`;
}

export async function startSsePeer(): Promise<SsePeer> {
  const streams = new Set<ServerResponse>();
  const history: Stored[] = [];
  const sequences = new Map<string, number>();
  const historyRequests: Record<string, number>[] = [];
  let opened = 0;
  let holdFirst = false;
  let answer: { status: number; contentType: string; body: string } | undefined;
  let beforeHistory: (() => void) | undefined;
  let historyRefusals = 0;
  let probesBefore = 0;
  let deaf: { readonly response: ServerResponse; probes: number }[] = [];

  const connected = () => `data: ${JSON.stringify({ payload: { id: eventId(), type: 'server.connected', properties: {} } })}\n\n`;

  const onStream = (response: ServerResponse) => {
    opened++;
    if (answer) {
      response.writeHead(answer.status, { 'content-type': answer.contentType }).end(answer.body);
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    if (!holdFirst) response.write(connected());
    if (probesBefore > 0) deaf.push({ response, probes: probesBefore });
    else streams.add(response);
    response.on('close', () => {
      streams.delete(response);
      deaf = deaf.filter((one) => one.response !== response);
    });
  };
  const onHistory = async (request: IncomingMessage, response: ServerResponse) => {
    const after = JSON.parse(Buffer.concat(await request.toArray()).toString()) as Record<string, number>;
    historyRequests.push(after);
    const entries = history.filter(({ aggregate_id, seq }) => seq > (after[aggregate_id] ?? -1));
    if (historyRefusals-- > 0) {
      response.writeHead(500).end();
      return;
    }
    beforeHistory?.();
    beforeHistory = undefined;
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(entries));
  };
  const onAbort = (sessionId: string, response: ServerResponse) => {
    const properties = { sessionID: sessionId };
    void write(
      frame({ id: eventId(), type: 'session.status', properties: { ...properties, status: { type: 'idle' } } }) +
        frame({ id: eventId(), type: 'session.idle', properties }),
    );
    for (const one of deaf) if (--one.probes === 0) streams.add(one.response);
    response.writeHead(200, { 'content-type': 'application/json' }).end('true');
  };
  const server = createServer((request, response) => {
    if (request.headers.authorization !== secret) return void response.writeHead(401).end();
    if (request.url === '/global/event') return onStream(response);
    if (request.url === '/sync/history') return void onHistory(request, response);
    const [, aborted] = /^\/session\/(ses_[^/]+)\/abort/.exec(request.url ?? '') ?? [];
    if (aborted) return onAbort(aborted, response);
    response.writeHead(404, { 'content-type': 'text/html' }).end('<html>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const write = (text: string | Buffer) =>
    Promise.all([...streams].map((stream) => new Promise<void>((resolve) => stream.write(text, () => resolve()))));
  return {
    credentials: () => ({ url, authorization: secret }),
    get opened() {
      return opened;
    },
    get open() {
      return streams.size;
    },
    historyRequests,
    async send(text) {
      await write(text);
    },
    publish(sessionId, type, properties, stored = false) {
      const id = eventId();
      const data = { sessionID: sessionId, ...properties };
      let text = frame({ id, type, properties: data });
      if (stored) {
        const seq = (sequences.get(sessionId) ?? -1) + 1;
        sequences.set(sessionId, seq);
        history.push({ id, aggregate_id: sessionId, seq, type: `${type}.1`, data });
        if (stored !== 'cut-off') text += frame({ type: 'sync', syncEvent: { id, type: `${type}.1`, seq, aggregateID: sessionId, data } });
      }
      void write(text);
      return id;
    },
    answerWith(next) {
      answer = next;
    },
    holdFirstRecord(hold) {
      holdFirst = hold;
    },
    subscribeAfter(probes) {
      probesBefore = probes;
    },
    refuseHistory(times) {
      historyRefusals = times;
    },
    beforeHistory(act) {
      beforeHistory = act;
    },
    drop(how) {
      for (const stream of streams) {
        if (how === 'end') stream.end();
        else stream.socket?.resetAndDestroy();
      }
      streams.clear();
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
