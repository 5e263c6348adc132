import type { ServerEvent } from '@opencode-manager/core/protocol';

/** What a session has used so far, its sub-agents included. */
export interface SessionUsage {
  /** To and from the model, caches left out. */
  readonly tokens: number;
  /** null when tokens were used and opencode knows no price for them. */
  readonly costUsd: number | null;
}

interface MessageUse {
  readonly tokens: number;
  readonly costUsd: number;
}

/** Sums up what the messages of each session used, each counted once however often it is told. */
export class UsageSums {
  readonly #messages = new Map<string, Map<string, MessageUse>>();

  /** Takes an event of a session, or of a sub-agent of it; gives the sum when it has changed. */
  take(session: string, event: ServerEvent): SessionUsage | undefined {
    if (event.type !== 'message.updated') return undefined;
    const { message: info } = event.data;
    if (info.role !== 'assistant') return undefined;
    const { input, output, reasoning } = info.tokens;
    const use = { tokens: input + output + reasoning, costUsd: info.costUsd };
    const messages = this.#messages.get(session) ?? new Map<string, MessageUse>();
    this.#messages.set(session, messages);
    const before = messages.get(info.id);
    if (use.tokens === 0 || (before !== undefined && before.tokens === use.tokens && before.costUsd === use.costUsd)) return undefined;
    messages.set(info.id, use);
    const sum = (pick: (one: MessageUse) => number) => messages.values().reduce((total, one) => total + pick(one), 0);
    const costUsd = sum((one) => one.costUsd);
    return { tokens: sum((one) => one.tokens), costUsd: costUsd === 0 ? null : costUsd };
  }

  forget(session: string): void {
    this.#messages.delete(session);
  }
}
