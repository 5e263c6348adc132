import { Waiters, type WaitOptions } from '../wait/waiters.ts';
import { matchesRequest } from './request-head.ts';
import type { NetworkFault, RequestHead, RequestMatch, WaitForFaultsOptions, WaitForRequestsOptions } from './types.ts';

/**
 * What became of a request: the target's answer passed in full, the proxy answered in its place, a fault broke the connection, the
 * client left, the target could not be reached or broke off, or the proxy was stopped. `in-flight` until then.
 * @public
 */
export type PassedOutcome = 'in-flight' | 'completed' | 'answered' | 'dropped' | 'aborted' | 'failed' | 'closed';

/** A fault that took effect. @public */
export interface AppliedFault {
  readonly type: NetworkFault['type'];
  /** The rule it came from; null when a method of the proxy was called. */
  readonly rule: string | null;
  /** The number of the request. */
  readonly request: number;
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  /** Bytes of the answer's body that had gone out before. */
  readonly bodyBytes: number;
}

/** One request that came through the proxy. Bodies and header fields are not kept. @public */
export interface PassedRequest {
  /** Counted from 1 since the start or the last `reset()`. */
  readonly number: number;
  /** The client's connection, counted from 1: equal numbers share a kept connection. */
  readonly connection: number;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** As it came, with the values of credentials replaced by `***`. */
  readonly query: string;
  /** Milliseconds since the epoch. */
  readonly startedAtMs: number;
  /** Absent while in flight. */
  readonly endedAtMs?: number;
  readonly outcome: PassedOutcome;
  /** Whether the target got it, wholly or in part. */
  readonly forwarded: boolean;
  /** The status that the client got; absent when it got none. */
  readonly status?: number;
  /** Whether the answer is an event stream. */
  readonly stream: boolean;
  /** Bytes of the answer's body that went out to the client. */
  readonly bodyBytes: number;
  /** Whole events that the target sent on an event stream. */
  readonly events: number;
  /** The rule that applied; null for none. */
  readonly rule: string | null;
  readonly faults: readonly AppliedFault[];
  /** The system's code when the target failed, for example `ECONNREFUSED`. */
  readonly error?: string;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The entry that an exchange keeps up to date while it lasts. */
export type OpenRecord = Mutable<Omit<PassedRequest, 'faults'>> & { readonly faults: AppliedFault[] };

/** Keeps what passed and wakes those who wait for it. */
export class ProxyRecorder {
  requests: OpenRecord[] = [];
  faults: AppliedFault[] = [];
  openStreams = 0;
  readonly #heads = new WeakMap<PassedRequest, RequestHead>();
  readonly #waiters = new Waiters();

  begin(head: RequestHead, facts: Pick<PassedRequest, 'connection' | 'query' | 'rule'>): OpenRecord {
    const record: OpenRecord = {
      number: this.requests.length + 1,
      method: head.method,
      path: head.path,
      ...facts,
      startedAtMs: Date.now(),
      outcome: 'in-flight',
      forwarded: false,
      stream: false,
      bodyBytes: 0,
      events: 0,
      faults: [],
    };
    this.requests.push(record);
    this.#heads.set(record, head);
    this.#waiters.wake();
    return record;
  }

  beginStream(record: OpenRecord): void {
    record.stream = true;
    this.openStreams += 1;
    this.#waiters.wake();
  }

  fault(record: OpenRecord, type: NetworkFault['type'], rule: string | null): void {
    const applied = { type, rule, request: record.number, atMs: Date.now(), bodyBytes: record.bodyBytes };
    record.faults.push(applied);
    // A request from before a reset() has a number that another may bear now.
    if (this.requests[record.number - 1] === record) this.faults.push(applied);
    this.#waiters.wake();
  }

  end(record: OpenRecord, outcome: PassedOutcome, error?: string): void {
    if (record.stream) this.openStreams -= 1;
    Object.assign(record, { outcome, endedAtMs: Date.now(), ...(error !== undefined && { error }) });
    this.#waiters.wake();
  }

  forget(): void {
    this.requests = [];
    this.faults = [];
  }

  matches(record: PassedRequest, match: RequestMatch): boolean {
    const head = this.#heads.get(record);
    return head !== undefined && matchesRequest(match, head);
  }

  async waitForRequests(count: number, options: WaitForRequestsOptions = {}): Promise<readonly PassedRequest[]> {
    const matching = () => this.requests.filter((record) => this.matches(record, options));
    const described = [options.method, options.path?.toString()].filter((part) => part !== undefined).join(' ');
    const describe = () => `${count} requests ${described && `of ${described} `}(there were ${matching().length})`;
    await this.#waiters.until(() => matching().length >= count, options, describe);
    return matching();
  }

  async waitForFaults(count: number, options: WaitForFaultsOptions = {}): Promise<readonly AppliedFault[]> {
    const { type, rule } = options;
    const matching = () =>
      this.faults.filter((fault) => (type === undefined || fault.type === type) && (rule === undefined || fault.rule === rule));
    const kind = `${type === undefined ? '' : `${type} `}faults${rule === undefined ? '' : ` of the rule "${rule}"`}`;
    await this.#waiters.until(
      () => matching().length >= count,
      options,
      () => `${count} ${kind} (there were ${matching().length})`,
    );
    return matching();
  }

  waitForStreams(count: number, options: WaitOptions = {}): Promise<void> {
    const describe = () => `${count} open event streams (there were ${this.openStreams})`;
    return this.#waiters.until(() => this.openStreams >= count, options, describe);
  }

  waitForIdle(options: WaitOptions = {}): Promise<void> {
    const open = () => this.requests.filter(({ outcome }) => outcome === 'in-flight');
    const describe = () =>
      `no request in flight (there were ${open()
        .map(({ method, path }) => `${method} ${path}`)
        .join(', ')})`;
    return this.#waiters.until(() => open().length === 0, options, describe);
  }
}
