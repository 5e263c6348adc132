import { once } from 'node:events';
import { Server, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { ClientConnection } from './connection.ts';
import { FaultProxyError } from './error.ts';
import { Exchange } from './exchange.ts';
import { Listener } from './listener.ts';
import { ProxyRecorder } from './record.ts';
import { headOf, recordedQuery } from './request-head.ts';
import { RuleSet } from './rules.ts';
import { tunnel } from './tunnel.ts';
import type { CutKind, FaultProxy, FaultProxyOptions, RefuseOptions, RequestMatch } from './types.ts';

/**
 * Starts a proxy that passes HTTP on and breaks it where it is told to. Put it between a client and an opencode server, or
 * between opencode and its model. Nothing in it is left to chance: equal requests in equal order meet equal faults.
 *
 * @example
 * await using proxy = await startFaultProxy({ target: server.url })
 * proxy.rule({ when: { method: 'POST', path: /\/prompt_async/ }, nth: 1, fault: { type: 'drop', at: 'response' } })
 * @throws {@link FaultProxyError} (`TARGET_INVALID`, `FAULT_RULE_INVALID`); the system's own error (`EADDRINUSE`) when the port is taken.
 * @public
 */
export async function startFaultProxy({ target, port = 0, rules = [] }: FaultProxyOptions): Promise<FaultProxy> {
  const host = new ProxyHost(parseTarget(target));
  for (const rule of rules) host.rules.add(rule);
  await host.listener.open(port);
  return proxyHandle(host);
}

/** Owns the sockets and the requests under way. */
class ProxyHost {
  target: URL;
  readonly rules = new RuleSet();
  readonly listener = new Listener((socket) => this.#connect(socket));
  readonly connections = new Map<Socket, ClientConnection>();
  readonly recorder = new ProxyRecorder();
  #isStopped = false;
  /** Aborted when another call decides whether connections are taken. */
  #decision = new AbortController();
  readonly #exchanges = new Set<Exchange>();
  #connected = 0;
  // It never listens itself: the listener hands it connections. No deadline of its own: that would be a fault nobody asked for.
  readonly #http = new Server({ keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0, maxHeaderSize: 65_536 });

  constructor(target: URL) {
    this.target = target;
    this.#http.on('request', (request, response) => void this.#exchange(request, response));
    this.#http.on('upgrade', (request, socket, first) => tunnel(request, socket as Socket, first, this.target));
  }

  #connect(socket: Socket): void {
    this.#connected += 1;
    this.connections.set(socket, new ClientConnection(this.#connected, socket));
    socket.once('close', () => this.connections.delete(socket));
    this.#http.emit('connection', socket);
  }

  async #exchange(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const connection = this.connections.get(request.socket);
    // A connection can close between its last bytes and this turn.
    if (!connection) return;
    const { recorder, target } = this;
    const head = headOf(request);
    const chosen = this.rules.choose(head);
    const facts = { connection: connection.number, query: recordedQuery(request.url ?? ''), rule: chosen?.rule ?? null };
    const record = recorder.begin(head, facts);
    const exchange = new Exchange({ request, response, connection, target, chosen, recorder, record });
    this.#exchanges.add(exchange);
    connection.exchanges.add(exchange);
    await exchange.run();
    connection.exchanges.delete(exchange);
    this.#exchanges.delete(exchange);
  }

  openStreams(match: RequestMatch = {}): Exchange[] {
    return [...this.#exchanges].filter(({ record, isEnded }) => record.stream && !isEnded && this.recorder.matches(record, match));
  }

  dropStreams(how: CutKind, match?: RequestMatch): number {
    const streams = this.openStreams(match);
    for (const stream of streams) stream.drop(how);
    return streams.length;
  }

  stallStreams(match?: RequestMatch): number {
    const streams = this.openStreams(match);
    for (const stream of streams) stream.stall();
    return streams.length;
  }

  resume(): number {
    return [...this.#exchanges].filter((exchange) => exchange.resume()).length;
  }

  dropConnections(how: 'rst' | 'fin'): number {
    const { size } = this.connections;
    // In this order the record says that a fault broke them, and not that their clients left.
    for (const exchange of this.#exchanges) exchange.drop(how);
    for (const connection of this.connections.values()) connection.break(how);
    return size;
  }

  refuse({ connections = 'rst' }: RefuseOptions = {}): void {
    this.#decide();
    this.listener.close();
    if (connections !== 'keep') this.dropConnections(connections);
  }

  async accept(): Promise<void> {
    if (!this.#isStopped) await this.listener.reopen(this.#decide());
  }

  async refuseFor(ms: number, options?: RefuseOptions): Promise<void> {
    this.refuse(options);
    const signal = this.#decide();
    await sleep(ms, undefined, { signal }).catch(() => undefined);
    if (!signal.aborted) await this.accept();
  }

  /** Ends what an earlier call still waits for. */
  #decide(): AbortSignal {
    this.#decision.abort();
    this.#decision = new AbortController();
    return this.#decision.signal;
  }

  reset(): void {
    this.rules.clear();
    this.resume();
    this.recorder.forget();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#decide();
    this.listener.close();
    for (const exchange of this.#exchanges) exchange.end('closed');
    const closed = [...this.connections.keys()].map((socket) => once(socket.destroy(), 'close'));
    await Promise.all(closed);
  }
}

function proxyHandle(host: ProxyHost): FaultProxy {
  const { port } = host.listener;
  const { pathname } = host.target;
  const stop = () => host.stop();
  return {
    url: `http://127.0.0.1:${port}${pathname.replace(/\/$/, '')}`,
    port,
    get target() {
      return host.target.href.replace(/\/$/, '');
    },
    get requests() {
      return host.recorder.requests;
    },
    get faults() {
      return host.recorder.faults;
    },
    get openStreams() {
      return host.recorder.openStreams;
    },
    get openConnections() {
      return host.connections.size;
    },
    setTarget: (url) => {
      host.target = parseTarget(url);
    },
    rule: (rule) => host.rules.add(rule),
    clearRules: () => host.rules.clear(),
    dropStreams: (how = 'rst', match = {}) => host.dropStreams(how, match),
    stallStreams: (match) => host.stallStreams(match),
    resume: () => host.resume(),
    dropConnections: (how = 'rst') => host.dropConnections(how),
    refuse: (options) => host.refuse(options),
    accept: () => host.accept(),
    refuseFor: (ms, options) => host.refuseFor(ms, options),
    waitForRequests: (count, options) => host.recorder.waitForRequests(count, options),
    waitForFaults: (count, options) => host.recorder.waitForFaults(count, options),
    waitForStreams: (count, options) => host.recorder.waitForStreams(count, options),
    waitForIdle: (options) => host.recorder.waitForIdle(options),
    reset: () => host.reset(),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function parseTarget(target: string): URL {
  const url = URL.parse(target);
  if (url?.protocol === 'http:' && url.username === '' && url.search === '') return url;
  // The URL is not repeated: it may hold a password.
  throw new FaultProxyError('TARGET_INVALID', 'The target of a fault proxy must be an http: URL without credentials and query.');
}
