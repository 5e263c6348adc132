import { once } from 'node:events';
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { finished } from 'node:stream/promises';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

import { BodyPlan, isEdit, type BodyStep } from './body-plan.ts';
import type { ClientConnection } from './connection.ts';
import { Gate } from './gate.ts';
import type { OpenRecord, PassedOutcome, ProxyRecorder } from './record.ts';
import type { ChosenFaults } from './rules.ts';
import { forwardRequest, passableHeaders, wasReset } from './upstream.ts';
import type { CutKind, DropFault, NetworkFault, StallFault } from './types.ts';

export interface ExchangeParts {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly connection: ClientConnection;
  readonly target: URL;
  readonly chosen: ChosenFaults | undefined;
  readonly recorder: ProxyRecorder;
  readonly record: OpenRecord;
}

/** A client that gets bytes and the connection's end in one read may take the whole for a connection that never stood. */
const settleBeforeCutMs = 100;
const page = '<!doctype html><html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>';
const noHttp = '\u0016\u0003\u0001\u0002\u0000 this is no HTTP\r\n';

/**
 * One request on its way to the target and its answer on the way back, with the faults of its rule.
 *
 * Whatever waits here ends as soon as the exchange does: because the client left, a fault broke it, or the proxy stops.
 */
export class Exchange {
  readonly record: OpenRecord;
  readonly #parts: ExchangeParts;
  readonly #faults: readonly NetworkFault[];
  readonly #ending = new AbortController();
  readonly #gate = new Gate();
  #outgoing: ClientRequest | undefined;
  /** An answer of unknown length has begun: it can end properly at any byte. */
  #hasOpenEnd = false;

  constructor(parts: ExchangeParts) {
    this.#parts = parts;
    this.#faults = parts.chosen?.faults ?? [];
    this.record = parts.record;
  }

  /** Passes the request and its answer; never rejects. */
  async run(): Promise<void> {
    const { response } = this.#parts;
    // The socket's own handler tells of it; without a listener an error here would end the process.
    response.on('error', () => undefined);
    try {
      if (!(await this.#meet('request'))) return;
      const answer = await this.#forward();
      if (!(await this.#meet('response', answer))) return;
      if (!(await this.#deliver(answer))) return;
      await this.#finish();
      this.end('completed');
    } catch (error) {
      this.#fail(error as NodeJS.ErrnoException);
    }
  }

  get isEnded(): boolean {
    return this.#ending.signal.aborted;
  }

  /** Breaks the answer off by a call from outside. */
  drop(how: CutKind): void {
    if (this.isEnded) return;
    this.#note('drop', null);
    this.#cut(how);
  }

  /** Holds everything back by a call from outside. */
  stall(): void {
    if (!this.#gate.isClosed) this.#note('stall', null);
    this.#gate.close();
  }

  /** Tells whether something was stalled. */
  resume(): boolean {
    const wasStalled = this.#gate.isClosed;
    this.#gate.open();
    return wasStalled;
  }

  /** Only the first end counts. What still waits is woken, and finds the exchange ended. */
  end(outcome: PassedOutcome, error?: string): void {
    if (this.isEnded) return;
    this.#parts.recorder.end(this.record, outcome, error);
    this.#ending.abort();
    this.#gate.open();
    if (outcome !== 'completed' && this.#outgoing) this.#parts.connection.abandon(this.#outgoing);
  }

  /** Goes through the faults of this point in their order; false when one of them was the end. */
  async #meet(point: 'request' | 'response', answer?: IncomingMessage): Promise<boolean> {
    for (const fault of this.#faults) {
      if (pointOf(fault) === point) await this.#apply(fault, answer);
      if (this.isEnded) return false;
    }
    await this.#passGate();
    return true;
  }

  async #apply(fault: NetworkFault, answer: IncomingMessage | undefined): Promise<void> {
    if (fault.type === 'delay') {
      this.#note(fault.type);
      return sleep(fault.ms, undefined, { signal: this.#ending.signal });
    }
    if (fault.type === 'stall') return this.#hold(fault);
    // The target has acted for certain when its whole answer is there. A stream has no end to wait for.
    if (answer && !isEventStream(answer)) await finished(answer.resume(), { signal: this.#ending.signal });
    this.#note(fault.type);
    if (fault.type === 'drop') this.#cut(fault.how);
    else await this.#answer(fault);
  }

  /** Answers in place of the target. */
  async #answer(fault: NetworkFault): Promise<void> {
    const { response, connection } = this.#parts;
    if (fault.type === 'garbage') {
      connection.socket.write(fault.text ?? noHttp);
      this.end('answered');
      return connection.break('fin');
    }
    const { status, headers, body } = substituteOf(fault);
    this.record.status = status;
    response.writeHead(status, headers);
    await this.#finish(body);
    this.end('answered');
  }

  async #forward(): Promise<IncomingMessage> {
    const { request, connection, target } = this.#parts;
    this.record.forwarded = true;
    const { outgoing, answer } = forwardRequest({ request, connection, target, faults: this.#faults });
    this.#outgoing = outgoing;
    return answer;
  }

  /** False when a fault ended the exchange on the way. */
  async #deliver(answer: IncomingMessage): Promise<boolean> {
    this.#writeHead(answer);
    const plan = new BodyPlan(this.#faults, this.record.stream);
    for await (const piece of answer) {
      if (!(await this.#takeSteps(plan, plan.feed(piece as Buffer)))) return false;
    }
    return this.#takeSteps(plan, plan.end());
  }

  #writeHead(answer: IncomingMessage): void {
    const { response, recorder } = this.#parts;
    const { statusCode = 502, statusMessage = '' } = answer;
    response.sendDate = false;
    response.writeHead(statusCode, statusMessage, passableHeaders(answer, this.#faults.some(isEdit)));
    // The head of a stream goes out at once, its first event may be long in coming.
    response.flushHeaders();
    this.record.status = statusCode;
    this.#hasOpenEnd = answer.headers['content-length'] === undefined;
    if (isEventStream(answer)) recorder.beginStream(this.record);
  }

  async #takeSteps(plan: BodyPlan, steps: Iterable<BodyStep>): Promise<boolean> {
    for (const step of steps) {
      this.record.events = plan.events;
      await this.#passGate();
      if (step.kind === 'write') await this.#write(step.data);
      else await this.#meetInBody(step.fault);
      if (this.isEnded) return false;
    }
    return true;
  }

  async #meetInBody(fault: NetworkFault): Promise<void> {
    if (fault.type === 'stall') return this.#hold(fault);
    if (fault.type !== 'drop') return this.#note(fault.type);
    await sleep(settleBeforeCutMs, undefined, { signal: this.#ending.signal });
    this.#note(fault.type);
    this.#cut(fault.how);
  }

  async #write(data: Buffer): Promise<void> {
    const { signal } = this.#ending;
    for (const fault of this.#faults) if (fault.type === 'delay' && fault.at === 'chunk') await this.#delayPiece(fault.ms);
    const takesMore = this.#parts.response.write(data);
    this.record.bodyBytes += data.length;
    if (!takesMore) await once(this.#parts.response, 'drain', { signal });
    // Writes of one turn of the event loop leave together: slices would be one piece again.
    if (this.#faults.some(({ type }) => type === 'slice')) await nextTurn(undefined, { signal });
  }

  async #delayPiece(ms: number): Promise<void> {
    if (this.record.bodyBytes === 0) this.#note('delay');
    await sleep(ms, undefined, { signal: this.#ending.signal });
    await this.#passGate();
  }

  async #hold(fault: StallFault): Promise<void> {
    this.#note(fault.type);
    this.#gate.close();
    const timer = fault.forMs === undefined ? undefined : setTimeout(() => this.#gate.open(), fault.forMs);
    await this.#passGate().finally(() => clearTimeout(timer));
  }

  async #passGate(): Promise<void> {
    await this.#gate.pass();
    this.#ending.signal.throwIfAborted();
  }

  async #finish(body = ''): Promise<void> {
    const { response } = this.#parts;
    response.end(body);
    if (!response.writableFinished) await once(response, 'finish', { signal: this.#ending.signal });
  }

  #cut(how: DropFault['how'] = 'rst'): void {
    const { response, connection } = this.#parts;
    this.end('dropped');
    if (how === 'end' && this.#hasOpenEnd) response.end();
    else connection.break(how);
  }

  #note(type: NetworkFault['type'], rule: string | null = this.record.rule): void {
    this.#parts.recorder.fault(this.record, type, rule);
  }

  /** The target broke off: the client sees the same end that the proxy saw. */
  #fail(error: NodeJS.ErrnoException): void {
    if (this.isEnded) return;
    const how = wasReset(this.#outgoing) ? 'rst' : 'fin';
    this.end('failed', error.code);
    this.#parts.connection.break(how);
  }
}

function pointOf(fault: NetworkFault): unknown {
  if (fault.type === 'slice' || fault.type === 'duplicate' || fault.type === 'replace') return 'body';
  return fault.at ?? 'request';
}

function isEventStream(answer: IncomingMessage): boolean {
  return answer.headers['content-type']?.startsWith('text/event-stream') ?? false;
}

function substituteOf(fault: NetworkFault): { status: number; headers: Record<string, string>; body: string } {
  if (fault.type !== 'respond') {
    const status = fault.type === 'html' ? (fault.status ?? 200) : 200;
    return { status, headers: { 'content-type': 'text/html; charset=utf-8' }, body: page };
  }
  const { status, headers = {}, body = '' } = fault;
  if (typeof body === 'string') return { status, headers, body };
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) };
}
