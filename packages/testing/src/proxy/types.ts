import type { WaitOptions } from '../wait/waiters.ts';
import type { AppliedFault, PassedRequest } from './record.ts';

/**
 * How a connection is broken.
 *
 * - `rst`: reset at once, as by a crashed peer or a firewall.
 * - `fin`: closed in order with the answer unfinished, as by a process that is killed.
 * - `end`: the body ends properly and the connection stays, as when a server ends a stream of its own will. Only an
 *   answer of unknown length that has begun can end so; anything else gets `fin`.
 * @public
 */
export type CutKind = 'rst' | 'fin' | 'end';

/**
 * Events of an event stream: the one of this number (from 1, counted per stream), those that contain this text, or those that match
 * this expression. An event is what stands between two blank lines, comments included; the text is the raw record (`data: {...}`).
 * @public
 */
export type EventSelector = number | string | RegExp;

/** A point in the body of an answer. Text and expressions mean the first event of the stream that fits. @public */
export type BodyPoint =
  | { readonly beforeEvent: EventSelector }
  /** Half of the event's bytes have gone out. */
  | { readonly insideEvent: EventSelector }
  | { readonly afterEvent: EventSelector }
  /** This many bytes of the body have gone out. */
  | { readonly afterBytes: number };

/**
 * Where on its way a request meets a fault: at `request` the target has seen nothing; at `response` the target has acted and
 * the client has seen nothing; or in the body of the answer.
 * @public
 */
export type FaultPoint = 'request' | 'response' | BodyPoint;

/** The connection breaks. At `response` an answer was received in full before (of an event stream only its head) and is lost. @public */
export interface DropFault {
  readonly type: 'drop';
  readonly at: FaultPoint;
  /** Default: `rst`. */
  readonly how?: CutKind | undefined;
}

/** Nothing passes any more, with the connection open, until `resume()`, the time given, or the client leaves. @public */
export interface StallFault {
  readonly type: 'stall';
  readonly at: FaultPoint;
  /** Milliseconds. Default: until `resume()`. */
  readonly forMs?: number | undefined;
}

/** Comes late: the request, the answer, or each piece of the body by itself. @public */
export interface DelayFault {
  readonly type: 'delay';
  /** Milliseconds. */
  readonly ms: number;
  /** Default: `request`. */
  readonly at?: 'request' | 'response' | 'chunk' | undefined;
}

/** The proxy answers in place of the target. @public */
export interface RespondFault {
  readonly type: 'respond';
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** A string as it is, anything else as JSON. Default: empty. */
  readonly body?: unknown;
  /** `response`: the target gets the request and acts on it first. Default: `request`. */
  readonly at?: 'request' | 'response' | undefined;
}

/** A web page with status 200, as a captive portal or a wrong path gives. @public */
export interface HtmlFault {
  readonly type: 'html';
  /** Default: 200. */
  readonly status?: number | undefined;
  readonly at?: 'request' | 'response' | undefined;
}

/** Bytes that are no HTTP, then the end of the connection. @public */
export interface GarbageFault {
  readonly type: 'garbage';
  /** Default: some bytes that look like the start of a TLS record. */
  readonly text?: string | undefined;
  readonly at?: 'request' | 'response' | undefined;
}

/** The body of the answer comes in pieces of this size, each sent by itself. @public */
export interface SliceFault {
  readonly type: 'slice';
  /** Default: 1. */
  readonly bytes?: number | undefined;
}

/** Each event that fits comes again right after itself. @public */
export interface DuplicateFault {
  readonly type: 'duplicate';
  readonly event: EventSelector;
  /** How many copies come after the event. Default: 1. */
  readonly copies?: number | undefined;
}

/** Each event that fits is replaced: by nothing (`''`), or by any bytes, which need not be an event. @public */
export interface ReplaceFault {
  readonly type: 'replace';
  readonly event: EventSelector;
  readonly with: string | ((event: string) => string);
}

/** What can go wrong between two programs. @public */
export type NetworkFault =
  | DropFault
  | StallFault
  | DelayFault
  | RespondFault
  | HtmlFault
  | GarbageFault
  | SliceFault
  | DuplicateFault
  | ReplaceFault;

/** The head of a request, for the `test` of a rule. @public */
export interface RequestHead {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** Which requests; all that is given must hold. @public */
export interface RequestMatch {
  /** Upper and lower case do not count. */
  readonly method?: string | undefined;
  /** A string: the path without its query is exactly this. An expression: tested against path and query. */
  readonly path?: string | RegExp | undefined;
  readonly test?: ((request: RequestHead) => boolean) | undefined;
}

/**
 * What happens to some requests. The first rule that applies to a request decides.
 *
 * @example
 * proxy.rule({ when: { path: '/global/event' }, times: 1, fault: { type: 'drop', at: { afterEvent: 'session.idle' } } })
 * @public
 */
export interface FaultRule {
  /** Shown in the record. Default: `rule 1`, counted from the start of the proxy. */
  readonly name?: string | undefined;
  /** Absent: every request. */
  readonly when?: RequestMatch | undefined;
  /** Which of the requests that come to this rule and match: a number from 1 or a range. Default: all. */
  readonly nth?: number | { readonly from?: number | undefined; readonly to?: number | undefined } | undefined;
  /** Applies to at most this many requests. */
  readonly times?: number | undefined;
  /** One fault, or several that come in this order at the same point. */
  readonly fault: NetworkFault | readonly NetworkFault[];
}

/** Takes the rule away; requests under way keep their faults. Also for `using`. @public */
export type RemoveRule = (() => void) & Disposable;

export interface FaultProxyOptions {
  /** The server behind the proxy: an `http:` URL. Its path, if any, becomes the path of the proxy's `url`. */
  readonly target: string;
  /** Port on 127.0.0.1. Default: 0, a free one. */
  readonly port?: number;
  /** The rules to begin with. */
  readonly rules?: readonly FaultRule[];
}

export interface RefuseOptions {
  /** What becomes of the connections that are open. Default: `rst`. */
  readonly connections?: 'rst' | 'fin' | 'keep';
}

export interface WaitForRequestsOptions extends WaitOptions, RequestMatch {}

export interface WaitForFaultsOptions extends WaitOptions {
  readonly type?: NetworkFault['type'];
  /** Count only faults that came from the rule of this name. */
  readonly rule?: string;
}

/**
 * A running fault proxy. Without a rule it passes everything on as it comes: bodies are never collected, a slow reader slows the
 * sender down, and each connection of a client has one connection to the target, which ends when that ends.
 *
 * @example
 * await using proxy = await startFaultProxy({ target: server.url })
 * proxy.dropStreams('rst')
 * await proxy.waitForStreams(1) // the client has come back
 * @public
 */
export interface FaultProxy extends AsyncDisposable {
  /** The target's URL with the proxy's port. */
  readonly url: string;
  readonly port: number;
  readonly target: string;
  /** Every request since the start or the last `reset()`, oldest first. */
  readonly requests: readonly PassedRequest[];
  /** Every fault that took effect since then, in the order of its taking effect. */
  readonly faults: readonly AppliedFault[];
  /** Event streams (`text/event-stream`) that have begun and not ended, stalled ones included. */
  readonly openStreams: number;
  readonly openConnections: number;
  /** Sends requests that come from now on to another server, for example one that was started again. @throws {@link FaultProxyError} (`TARGET_INVALID`) */
  setTarget(url: string): void;
  /** Adds a rule after those there are. @throws {@link FaultProxyError} (`FAULT_RULE_INVALID`) */
  rule(rule: FaultRule): RemoveRule;
  clearRules(): void;
  /** Breaks the event streams that are open and match; returns how many. @param how - Default: `rst`. */
  dropStreams(how?: CutKind, match?: RequestMatch): number;
  /** Holds back the event streams that are open and match, with their connections open; returns how many. Later ones pass. */
  stallStreams(match?: RequestMatch): number;
  /** Lets everything go on that was stalled; returns how many requests. Nothing was lost meanwhile. */
  resume(): number;
  /** Breaks every open connection, idle ones included; returns how many. @param how - Default: `rst`. */
  dropConnections(how?: 'rst' | 'fin'): number;
  /** From now on new connections are refused (`ECONNREFUSED`). */
  refuse(options?: RefuseOptions): void;
  /**
   * Takes connections again, on the same port.
   * @throws {@link FaultProxyError} (`PORT_LOST`) when another process took the port meanwhile and keeps it for 5 s.
   */
  accept(): Promise<void>;
  /** `refuse()`, and `accept()` after that many milliseconds; resolves then. Of several calls the last one decides. */
  refuseFor(ms: number, options?: RefuseOptions): Promise<void>;
  /** Resolves with the requests as soon as that many that match have come in. @throws {@link WaitTimeoutError} (`WAIT_TIMEOUT`) */
  waitForRequests(count: number, options?: WaitForRequestsOptions): Promise<readonly PassedRequest[]>;
  /** Resolves with the faults as soon as that many have taken effect. @throws {@link WaitTimeoutError} (`WAIT_TIMEOUT`) */
  waitForFaults(count: number, options?: WaitForFaultsOptions): Promise<readonly AppliedFault[]>;
  /** Resolves when at least that many event streams are open. @throws {@link WaitTimeoutError} (`WAIT_TIMEOUT`) */
  waitForStreams(count: number, options?: WaitOptions): Promise<void>;
  /** Resolves when no request is in flight. @throws {@link WaitTimeoutError} (`WAIT_TIMEOUT`) */
  waitForIdle(options?: WaitOptions): Promise<void>;
  /** Takes all rules away, lets what is stalled go on, and forgets the record; requests in flight go on unrecorded. */
  reset(): void;
  /** Closes every connection and frees the port. Idempotent. */
  stop(): Promise<void>;
}
