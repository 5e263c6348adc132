import type { AssistantMessage, Message, MessageWithParts, Part, ToolPart } from '@opencode-manager/core/protocol';
import { belongsToTurn, decodeTurnError } from '@opencode-manager/core/protocol';
import type { FinalMessage } from '../machines/index.ts';
import type { Usage } from '../task/types.ts';

export interface RunawayLimits {
  /** Completed assistant messages in a row without finish, tool or error. */
  readonly emptyMessages: number;
  /** Calls of the same tool with the same input in a row. */
  readonly sameToolCalls: number;
}

/** What counts of a tool's call. What it printed can be megabytes, and is kept of a shell line alone, whose result it is. */
interface ToolCall {
  readonly hasResult: boolean;
  readonly output: string;
}

interface ObservedMessage {
  info: AssistantMessage;
  readonly isRoot: boolean;
  /** Text parts in the order in which they came. */
  readonly texts: Map<string, string>;
  /** Id of the part with which its last try began: opencode asks a provider again within the same message. */
  tryId: string;
  readonly tools: Map<string, ToolCall>;
  /** It has ended, and was looked at then. */
  ended: boolean;
}

/** What a turn left behind, as its result shows it. */
export interface TurnSummary {
  readonly output: string;
  readonly usage: Usage;
  /** null when tokens were used and opencode knows no price for them. */
  readonly costUsd: number | null;
  readonly model: string | null;
  readonly toolCalls: number;
}

/**
 * Follows one turn's hot data: texts, tools, tokens. A plain reducer outside the machine; recording a thing twice
 * changes nothing, so that replayed events and read snapshots can be fed to it as they come.
 */
export class TurnObserver {
  readonly #messageId: string;
  readonly #isShell: boolean;
  readonly #limits: RunawayLimits;
  readonly #messages = new Map<string, ObservedMessage>();
  #emptyRun = 0;
  #lastToolCall = '';
  #toolCallRun = 0;
  #countedTools: Set<string> | undefined;

  constructor(turn: { readonly messageId: string; readonly kind: 'prompt' | 'command' | 'shell' }, limits: RunawayLimits) {
    this.#messageId = turn.messageId;
    this.#isShell = turn.kind === 'shell';
    this.#limits = limits;
  }

  /** Takes a message of the session itself or of a sub-agent. Gives what it says about the turn's answer. */
  message(info: Message, isRoot: boolean): { readonly started?: string; readonly finalised?: Omit<FinalMessage, 'atMs' | 'source'> } {
    if (info.role !== 'assistant' || (isRoot && !belongsToTurn(info, this.#messageId))) return {};
    const known = this.#messages.get(info.id);
    const message = known ?? { info, isRoot, texts: new Map(), tryId: '', tools: new Map(), ended: false };
    message.info = info;
    if (!known) this.#messages.set(info.id, message);
    if (!isRoot) return {};
    if (info.time.completed === undefined) return known ? {} : { started: info.id };
    this.#countEmpty(message);
    return { finalised: this.#finalOf(info) };
  }

  part(part: Part): void {
    const message = this.#messages.get(part.messageID);
    if (!message) return;
    if (part.type === 'text' && !part.synthetic && !part.ignored) recordText(message, part);
    if (part.type === 'step-start' && part.id > message.tryId) message.tryId = part.id;
    if (part.type === 'tool') {
      message.tools.set(part.id, { hasResult: hasResult(part), output: this.#isShell ? outputOf(part) : '' });
      if (message.isRoot) this.#countToolCall(part);
    }
  }

  delta(messageId: string, partId: string, field: string, delta: string): void {
    const message = this.#messages.get(messageId);
    if (!message || field !== 'text' || !message.texts.has(partId)) return;
    message.texts.set(partId, message.texts.get(partId) + delta);
  }

  /** Takes the session's history as it was read. Gives the final answer, when the newest message of the turn is one. */
  history(messages: readonly MessageWithParts[]): {
    readonly found: boolean;
    readonly final: Omit<FinalMessage, 'atMs' | 'source'> | null;
  } {
    for (const { info, parts } of messages) {
      this.message(info, true);
      for (const part of parts) this.part(part);
    }
    const newest = this.#newestRoot();
    return {
      found: newest !== undefined || messages.some(({ info }) => info.id === this.#messageId),
      final: newest?.info.time.completed === undefined ? null : this.#finalOf(newest.info),
    };
  }

  /** Takes the history of a sub-agent; what it did in earlier turns is not of this one. */
  childHistory(messages: readonly MessageWithParts[]): void {
    for (const { info, parts } of messages) {
      if (info.role !== 'assistant' || !belongsToTurn(info, this.#messageId)) continue;
      this.message(info, false);
      for (const part of parts) this.part(part);
    }
  }

  /** Why the turn counts as a runaway; undefined while it does not. */
  get runaway(): string | undefined {
    if (this.#emptyRun >= this.#limits.emptyMessages)
      return `${this.#emptyRun} answers in a row ended without a finish reason, a tool call or an error`;
    if (this.#toolCallRun >= this.#limits.sameToolCalls) return `${this.#toolCallRun} identical tool calls in a row`;
    return undefined;
  }

  summary(): TurnSummary {
    const messages = [...this.#messages.values()];
    const costUsd = messages.reduce((sum, { info }) => sum + info.cost, 0);
    const usage = sumUsage(messages);
    const used = usage.input_tokens + usage.output_tokens > 0;
    const newest = this.#newestRoot();
    return {
      output: this.#isShell ? this.#shellOutput() : this.#answerText(),
      usage,
      costUsd: costUsd === 0 && used ? null : costUsd,
      model: newest && !this.#isShell ? `${newest.info.providerID}/${newest.info.modelID}` : null,
      toolCalls: messages.reduce((sum, { tools }) => sum + tools.size, 0),
    };
  }

  #finalOf(info: AssistantMessage): Omit<FinalMessage, 'atMs' | 'source'> {
    return {
      id: info.id,
      empty: this.#isEmpty(info.id),
      ...(info.finish !== undefined && { finish: info.finish }),
      ...(info.error && { error: decodeTurnError(info.error) }),
    };
  }

  /** No text in the answer, and no tool of the turn gave a result. */
  #isEmpty(id: string): boolean {
    const message = this.#messages.get(id);
    const answered = message !== undefined && textOf(message).trim() !== '';
    return (
      !answered && ![...this.#messages.values()].some(({ isRoot, tools }) => isRoot && [...tools.values()].some((call) => call.hasResult))
    );
  }

  #countEmpty(message: ObservedMessage): void {
    if (message.ended) return;
    message.ended = true;
    const { info, tools } = message;
    const empty = (info.finish === undefined || info.finish === 'unknown') && !info.error && tools.size === 0;
    this.#emptyRun = empty ? this.#emptyRun + 1 : 0;
  }

  #countToolCall(part: ToolPart): void {
    if (part.state.status === 'pending' || this.#countedTools?.has(part.id)) return;
    (this.#countedTools ??= new Set()).add(part.id);
    const call = `${part.tool} ${JSON.stringify(part.state.input)}`;
    this.#toolCallRun = call === this.#lastToolCall ? this.#toolCallRun + 1 : 1;
    this.#lastToolCall = call;
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
    if (newest?.info.finish !== undefined) return textOf(newest);
    return roots.map(textOf).find((text) => text !== '') ?? '';
  }

  #shellOutput(): string {
    const calls = [...(this.#newestRoot()?.tools.values() ?? [])];
    return calls.map(({ output }) => output).join('');
  }
}

/** A part that has not ended is stored without its text: what the deltas brought stands. */
function recordText(message: ObservedMessage, part: Extract<Part, { type: 'text' }>): void {
  const known = message.texts.get(part.id) ?? '';
  message.texts.set(part.id, part.time?.end !== undefined || part.text.length >= known.length ? part.text : known);
}

function outputOf({ state }: ToolPart): string {
  if (state.status === 'completed') return state.output;
  if (state.status === 'error') return state.error;
  const output = state.status === 'running' ? state.metadata?.['output'] : undefined;
  return typeof output === 'string' ? output : '';
}

const hasResult = ({ state }: ToolPart): boolean => state.status === 'completed' || state.status === 'error';

/** What the last try said: the text of a stream that broke off before it is no part of the answer. */
function textOf({ texts, tryId }: ObservedMessage): string {
  return [...texts].map(([partId, text]) => (partId > tryId ? text : '')).join('');
}

function sumUsage(messages: readonly ObservedMessage[]): Usage {
  const sum = (pick: (tokens: AssistantMessage['tokens']) => number) => messages.reduce((total, { info }) => total + pick(info.tokens), 0);
  return {
    input_tokens: sum(({ input }) => input),
    output_tokens: sum(({ output }) => output),
    reasoning_tokens: sum(({ reasoning }) => reasoning),
    cache_read_tokens: sum(({ cache }) => cache.read),
    cache_write_tokens: sum(({ cache }) => cache.write),
  };
}
