import type { AssistantMessageFacts, MessageFacts, MessageHistory, PartFacts, ProviderRetry } from '@opencode-manager/core/protocol';
import { answersTurn, beginsTurn, isFinalReason } from '@opencode-manager/core/protocol';
import type { FinalFacts, LoopFacts, TurnReading, TurnSpent } from '../machines/index.ts';
import type { Usage } from '../task/types.ts';
import { AnswerSize } from './answer-size.ts';
import { CallCycles } from './call-cycles.ts';
import { ModelCalls } from './model-calls.ts';
import { costOf, type Cost, type PriceTable } from './prices.ts';

type ToolFacts = Extract<PartFacts, { type: 'tool' }>;

/** What counts of a tool's call. What it printed can be megabytes, and is kept of a shell line alone, whose result it is. */
interface ToolCall {
  readonly hasResult: boolean;
  readonly mayGoOn: boolean;
  readonly output: string;
  readonly exitCode?: number | null;
}

interface ObservedMessage {
  info: AssistantMessageFacts;
  readonly isRoot: boolean;
  /** Text parts in the order in which they came. */
  readonly texts: Map<string, string>;
  /** Id of the part with which its last try began: opencode asks a provider again within the same message. */
  tryId: string;
  readonly tools: Map<string, ToolCall>;
  /** Its end was counted. */
  ended: boolean;
}

/** What a turn left behind, as its result shows it. */
export interface TurnSummary {
  readonly output: string;
  readonly usage: Usage;
  readonly cost: Cost;
  readonly model: string | null;
  readonly toolCalls: number;
  /** Something of it may still run in the server, though the turn is over. */
  readonly mayGoOn: boolean;
  readonly modelCalls: number;
  /** Of a shell line, where it is known. */
  readonly exitCode?: number | null;
}

/**
 * Follows one turn's hot data: texts, tools, tokens. A plain reducer outside the machine; recording a thing twice
 * changes nothing, so that replayed events and read snapshots can be fed to it as they come.
 */
export class TurnObserver {
  readonly #messageId: string;
  readonly #isShell: boolean;
  readonly #messages = new Map<string, ObservedMessage>();
  /** Parts whose message is not known: its event was lost with a gap, and the read that shows it is under way. */
  readonly #early = new Map<string, PartFacts[]>();
  /** Sub-agent sessions that were given a prompt. */
  readonly #prompted = new Set<string>();
  readonly #cycles = new CallCycles();
  readonly #size = new AnswerSize();
  readonly #calls = new ModelCalls();
  readonly #maxAnswerBytes: number;
  readonly #prices: PriceTable;
  readonly #spentBefore: TurnSpent;
  #ended = 0;
  #endedTold = 0;
  #stepsTold = 0;
  #excessWasTaken = false;
  #emptySteps = 0;

  /** `maxAnswerBytes`: of {@link takeExcess}; no bound when absent. */
  constructor(turn: {
    readonly messageId: string;
    readonly kind: 'prompt' | 'command' | 'shell';
    readonly maxAnswerBytes?: number;
    readonly prices?: PriceTable;
    readonly spentBefore?: TurnSpent;
  }) {
    this.#spentBefore = turn.spentBefore ?? { steps: 0, tokens: 0, usd: 0 };
    this.#prices = turn.prices ?? {};
    this.#messageId = turn.messageId;
    this.#isShell = turn.kind === 'shell';
    this.#maxAnswerBytes = turn.maxAnswerBytes ?? Infinity;
  }

  /** How much the turn has said, once, when that is more than it may. */
  takeExcess(): number | undefined {
    if (this.#excessWasTaken || this.#size.bytes <= this.#maxAnswerBytes) return undefined;
    this.#excessWasTaken = true;
    return this.#size.bytes;
  }

  /** What the attempt has taken so far, with its earlier turns, when that is more than was told last: after the end of a step, here or in a sub-agent. */
  takeSpent(): TurnSpent | undefined {
    const steps = this.#calls.count;
    if (this.#ended === this.#endedTold && steps === this.#stepsTold) return undefined;
    this.#endedTold = this.#ended;
    this.#stepsTold = steps;
    const ended = [...this.#messages.values()].flatMap(({ info }) => (info.completed ? [info] : []));
    const tokens = ended.reduce((sum, { tokens: { input, output, reasoning } }) => sum + input + output + reasoning, 0);
    const { steps: stepsBefore, tokens: tokensBefore, usd: usdBefore } = this.#spentBefore;
    return { steps: stepsBefore + steps, tokens: tokensBefore + tokens, usd: usdBefore + costOf(ended, this.#prices).usd };
  }

  /** How the turn goes round in circles, as far as its steps and tool calls tell. */
  get loop(): LoopFacts {
    return { emptySteps: this.#emptySteps, ...this.#cycles.longest };
  }

  /** Takes a message of the session itself or of a sub-agent. Gives what it says about the turn's answer. */
  message(
    info: MessageFacts,
    isRoot: boolean,
  ): {
    readonly started?: Pick<FinalFacts, 'id' | 'parentId'>;
    readonly finalised?: FinalFacts;
  } {
    const early = this.#early.get(info.id) ?? [];
    this.#early.delete(info.id);
    // Ids grow with time, whatever their session: what answers an earlier message is an earlier turn's, a sub-agent's too.
    if (info.role === 'user') {
      if (!isRoot && info.id > this.#messageId) this.#prompted.add(info.sessionId);
      return {};
    }
    if (!answersTurn(info, this.#messageId)) return {};
    const known = this.#messages.get(info.id);
    const message = known ?? { info, isRoot, texts: new Map(), tryId: '', tools: new Map(), ended: false };
    if (info.completed && !(known?.info.completed ?? false)) this.#ended += 1;
    // A read may have told more than an event that comes late.
    const { continues } = message.info;
    if (info.completed || !message.info.completed) message.info = continues === undefined ? info : { ...info, continues };
    if (!known) this.#messages.set(info.id, message);
    if (!this.#isShell) this.#calls.message(info);
    for (const part of early) this.part(part);
    if (!isRoot) return {};
    if (!info.completed) return known ? {} : { started: { id: info.id, parentId: info.parentId } };
    this.#countEmpty(message);
    return { finalised: this.#finalOf(info) };
  }

  part(part: PartFacts): void {
    const message = this.#messages.get(part.messageId);
    if (!message) return this.#keepEarly(part);
    if (part.type === 'text') recordText(message, part);
    if (part.type === 'text' || part.type === 'reasoning') this.#size.setPart(part.id, part.text, part.ended);
    if (part.type === 'step') {
      this.#calls.step(part.messageId, part.id);
      if (part.id > message.tryId) message.tryId = part.id;
    }
    if (part.type === 'tool') {
      const known = message.tools.get(part.id);
      // A read may show less than an event that came while it was answered.
      if (known?.hasResult && !hasResult(part)) return;
      // Only a read tells it.
      const { exitCode = known?.exitCode } = part;
      message.tools.set(part.id, {
        hasResult: hasResult(part),
        mayGoOn: part.mayGoOn === true,
        output: this.#isShell ? part.output : '',
        ...(this.#isShell && exitCode !== undefined && { exitCode }),
      });
      if (message.isRoot) this.#cycles.add(part);
    }
  }

  #keepEarly(part: PartFacts): void {
    if (part.messageId <= this.#messageId) return;
    const others = this.#early.get(part.messageId)?.filter(({ id }) => id !== part.id) ?? [];
    this.#early.set(part.messageId, [...others, part]);
  }

  delta(messageId: string, partId: string, field: string, delta: string): void {
    const message = this.#messages.get(messageId);
    if (!message || field !== 'text') return;
    this.#size.addDelta(partId, delta);
    if (message.texts.has(partId)) message.texts.set(partId, message.texts.get(partId) + delta);
  }

  /** What a session of the turn was told, or read, to do: at work, or waiting for its provider. */
  status(sessionId: string, status: 'busy' | ProviderRetry, atMs: number): void {
    if (status === 'busy') this.#calls.busy(sessionId, atMs);
    else this.#calls.retrying(sessionId, status, atMs);
  }

  /** Takes the session's history as it was read. Gives the turn's newest answer, and whether the read told anything new. */
  history(messages: readonly MessageHistory[]): Omit<NonNullable<TurnReading['history']>, 'sinceMs' | 'seenAtMs'> {
    const before = this.#extent();
    for (const { message, parts } of messages) {
      this.message(message, true);
      for (const part of parts) this.part(part);
    }
    const newest = this.#newestRoot();
    const read = messages.findLast(({ message }) => message.id === newest?.info.id)?.message;
    // What was told may be no end, as the read has it; which of them is newer is the machine's to know.
    const isEnded = newest?.info.completed === true && (read === undefined || (read.role === 'assistant' && read.completed));
    return {
      found: newest !== undefined || messages.some(({ message }) => beginsTurn(message, this.#messageId)),
      newest: newest ? { id: newest.info.id, final: isEnded ? this.#finalOf(newest.info) : null } : null,
      changed: this.#extent() !== before,
      ...pastErrorsIn(messages, this.#messageId),
    };
  }

  /** How much is known of the turn: another text when anything was added. */
  #extent(): string {
    let extent = '';
    for (const { info, texts, tools } of this.#messages.values()) {
      const said = [...texts.values()].reduce((sum, text) => sum + text.length, 0);
      const done = [...tools.values()].filter(({ hasResult }) => hasResult).length;
      extent += `${info.completed ? 1 : 0},${said},${tools.size},${done};`;
    }
    return extent;
  }

  /** Takes the history of a sub-agent; what it did in earlier turns is not of this one. */
  childHistory(messages: readonly MessageHistory[]): void {
    for (const { message, parts } of messages) {
      this.message(message, false);
      for (const part of parts) this.part(part);
    }
  }

  /** Whether a sub-agent has answered in this turn. */
  hasBegun(sessionId: string): boolean {
    return [...this.#messages.values()].some(({ info }) => info.sessionId === sessionId);
  }

  /** Whether a sub-agent has a prompt of this turn and has not begun to answer. */
  isUnbegun(sessionId: string): boolean {
    return this.#prompted.has(sessionId) && !this.hasBegun(sessionId);
  }

  /** Provider of a session's newest message. */
  providerOf(sessionId: string): string | undefined {
    return [...this.#messages.values()].findLast(({ info }) => info.sessionId === sessionId)?.info.providerId;
  }

  summary(): TurnSummary {
    const messages = [...this.#messages.values()];
    const newest = this.#newestRoot();
    const exitCode = newest && exitCodeIn(newest);
    return {
      output: this.#isShell ? this.#shellOutput() : this.#answerText(),
      usage: sumUsage(messages),
      cost: costOf(
        messages.map(({ info }) => info),
        this.#prices,
      ),
      model: newest && !this.#isShell ? newest.info.model : null,
      toolCalls: messages.reduce((sum, { tools }) => sum + tools.size, 0),
      mayGoOn: messages.some(({ tools }) => [...tools.values()].some((call) => call.mayGoOn)),
      modelCalls: this.#calls.count,
      ...(exitCode !== undefined && { exitCode }),
    };
  }

  #finalOf(info: AssistantMessageFacts): FinalFacts {
    const message = this.#messages.get(info.id);
    const exitCode = message && exitCodeIn(message);
    return {
      id: info.id,
      parentId: info.parentId,
      hasText: message !== undefined && this.#said(message).trim() !== '',
      hasToolResult: [...this.#messages.values()].some(({ isRoot, tools }) => isRoot && [...tools.values()].some((call) => call.hasResult)),
      ...(info.finish !== undefined && { finish: info.finish }),
      ...(info.error && { error: info.error }),
      ...(exitCode !== undefined && { exitCode }),
    };
  }

  /** opencode goes on after a step that neither called a tool nor said that it was the last, for ever if need be. */
  #countEmpty(message: ObservedMessage): void {
    if (message.ended) return;
    message.ended = true;
    const { info, tools } = message;
    // It goes on after an unknown reason, too.
    const hasEnd = info.error !== undefined || (isFinalReason(info.finish) && info.finish !== 'unknown');
    this.#emptySteps = hasEnd || tools.size > 0 ? 0 : this.#emptySteps + 1;
  }

  #newestRoot(): ObservedMessage | undefined {
    let newest: ObservedMessage | undefined;
    for (const message of this.#messages.values()) if (message.isRoot && (!newest || message.info.id > newest.info.id)) newest = message;
    return newest;
  }

  /** The text of the newest message; of the one before when a turn was cut before the newest said anything. */
  #answerText(): string {
    const roots = [...this.#messages.values()].filter(({ isRoot }) => isRoot).toSorted((a, b) => (a.info.id < b.info.id ? 1 : -1));
    const newest = roots[0];
    if (newest?.info.finish !== undefined) return this.#said(newest);
    return roots.map((message) => this.#said(message)).find((text) => text !== '') ?? '';
  }

  /** With what was said before in messages that broke off, and that it goes on with. */
  #said(message: ObservedMessage): string {
    const { continues } = message.info;
    const before = continues === undefined ? undefined : this.#messages.get(continues);
    return (before ? this.#said(before) : '') + textOf(message);
  }

  #shellOutput(): string {
    const calls = [...(this.#newestRoot()?.tools.values() ?? [])];
    return calls.map(({ output }) => output).join('');
  }
}

/** A part that has not ended is stored without its text: what the deltas brought stands. */
function recordText(message: ObservedMessage, part: Extract<PartFacts, { type: 'text' }>): void {
  const known = message.texts.get(part.id) ?? '';
  message.texts.set(part.id, part.ended || part.text.length >= known.length ? part.text : known);
}

const hasResult = ({ status }: ToolFacts): boolean => status === 'completed' || status === 'failed';

/** What the last try said: the text of a stream that broke off before it is no part of the answer. */
function textOf({ texts, tryId }: ObservedMessage): string {
  return [...texts].map(([partId, text]) => (partId > tryId ? text : '')).join('');
}

function exitCodeIn({ tools }: ObservedMessage): number | null | undefined {
  return [...tools.values()].map(({ exitCode }) => exitCode).find((code) => code !== undefined);
}

function sumUsage(messages: readonly ObservedMessage[]): Usage {
  const sum = (pick: (tokens: AssistantMessageFacts['tokens']) => number) =>
    messages.reduce((total, { info }) => total + pick(info.tokens), 0);
  return {
    input_tokens: sum(({ input }) => input),
    output_tokens: sum(({ output }) => output),
    reasoning_tokens: sum(({ reasoning }) => reasoning),
    cache_read_tokens: sum(({ cacheRead }) => cacheRead),
    cache_write_tokens: sum(({ cacheWrite }) => cacheWrite),
  };
}

/** Errors in the answers of earlier turns. */
function pastErrorsIn(messages: readonly MessageHistory[], messageId: string): Pick<NonNullable<TurnReading['history']>, 'pastErrors'> {
  const pastErrors = messages.flatMap(({ message }) =>
    message.role === 'assistant' && message.error && !answersTurn(message, messageId) ? [message.error] : [],
  );
  return pastErrors.length > 0 ? { pastErrors } : {};
}
