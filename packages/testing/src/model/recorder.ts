import type { Purpose } from '../script/types.ts';
import { Waiters, type WaitOptions } from '../wait/waiters.ts';
import type { ChatMessage } from './conversation.ts';

/**
 * What became of a call: answered in full, answered with an error status, connection cut by the script, given up by the
 * client, or ended because the scripted model was closed. `in-flight` until then.
 * @public
 */
export type CallOutcome = 'in-flight' | 'completed' | 'failed' | 'cut' | 'aborted' | 'closed';

/** One chat-completions call as it was asked and answered. @public */
export interface RecordedCall {
  /** Counted from 1 since the start or the last `reset()`, titles and summaries included. */
  readonly number: number;
  readonly purpose: Purpose;
  /** Milliseconds since the epoch. */
  readonly startedAtMs: number;
  /** Absent while in flight. */
  readonly endedAtMs?: number;
  readonly outcome: CallOutcome;
  /** The HTTP status that was sent; absent when none was. */
  readonly status?: number;
  /** The rule that answered: its name, or its place in the script (`rules[2]`); null for a standard answer. */
  readonly rule: string | null;
  readonly model: string;
  readonly stream: boolean;
  readonly messages: readonly ChatMessage[];
  /** Names of the tools on offer. */
  readonly tools: readonly string[];
  /** Text of the last user message. */
  readonly user: string;
  readonly system: string;
  /** Which call of the turn: 0 answers the prompt. */
  readonly step: number;
  readonly sessionId: string | undefined;
  readonly parentSessionId: string | undefined;
  /** Without those that carry credentials. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface WaitForCallsOptions extends WaitOptions {
  /** Which calls count. Default: `turn`. */
  readonly purpose?: Purpose;
  /** Count only calls that this rule answered. */
  readonly rule?: string;
}

export interface CallEnd {
  readonly outcome: Exclude<CallOutcome, 'in-flight'>;
  readonly status: number | undefined;
}

/** Keeps the calls and wakes those who wait for them. */
export class CallRecorder {
  readonly calls: RecordedCall[] = [];
  /** Turns in flight: titles come beside a turn and would blur what a concurrency test counts. */
  inFlight = 0;
  maxInFlight = 0;
  readonly #waiters = new Waiters();

  begin(call: Omit<RecordedCall, 'number' | 'outcome'>): RecordedCall {
    const recorded = { ...call, number: this.calls.length + 1, outcome: 'in-flight' } as const;
    this.calls.push(recorded);
    if (call.purpose === 'turn') this.inFlight += 1;
    this.maxInFlight = Math.max(this.maxInFlight, this.inFlight);
    this.#waiters.wake();
    return recorded;
  }

  end(call: RecordedCall, { outcome, status }: CallEnd): void {
    if (call.purpose === 'turn') this.inFlight -= 1;
    Object.assign(call, { outcome, endedAtMs: Date.now(), ...(status !== undefined && { status }) });
    this.#waiters.wake();
  }

  async waitForCalls(count: number, options: WaitForCallsOptions = {}): Promise<readonly RecordedCall[]> {
    const { purpose = 'turn', rule } = options;
    const matching = () => this.calls.filter((call) => call.purpose === purpose && (rule === undefined || call.rule === rule));
    const kind = `${purpose} calls${rule === undefined ? '' : ` answered by "${rule}"`}`;
    await this.#waiters.until(
      () => matching().length >= count,
      options,
      () => `${count} ${kind} (there were ${matching().length})`,
    );
    return matching();
  }

  async waitForIdle(options: WaitOptions = {}): Promise<void> {
    const open = () => this.calls.filter(({ outcome }) => outcome === 'in-flight');
    await this.#waiters.until(
      () => open().length === 0,
      options,
      () => `no call in flight (there were ${open().length})`,
    );
  }
}
