import type { AssistantMessageFacts, ProviderRetry } from '@opencode-manager/core/protocol';

interface CalledMessage {
  readonly sessionId: string;
  /** Calls that began to answer. */
  readonly steps: Set<string>;
  /** Calls that failed and were to be repeated within it. */
  failed: number;
  /** The last one failed, and is repeated in a message of its own: another one of the session follows. */
  isBroken: boolean;
}

/** What a session was told to do last; a read may be older than it. */
interface Told {
  readonly isWaiting: boolean;
  /** When the wait is over. */
  readonly untilMs?: number;
  readonly atMs: number;
}

/**
 * How often a turn has called the model. opencode calls it once for each assistant message, and again within the same message after
 * a failure: it then tells a retry with its number, becomes busy, and begins a step when the model answers. An abort during the wait
 * leaves the call out that the wait was for. A failure that no event told of leaves nothing that could be read. opencode 2 ends a message whose
 * stream broke off, and repeats the call in another one; and of a turn that ended before its first call, its adapter shows a message that no model
 * has written.
 */
export class ModelCalls {
  readonly #messages = new Map<string, CalledMessage>();
  readonly #told = new Map<string, Told>();

  message({ id, sessionId, model, error }: AssistantMessageFacts): void {
    if (model === '') return;
    const known = this.#messages.get(id) ?? { sessionId, steps: new Set(), failed: 0, isBroken: false };
    this.#messages.set(id, known);
    if (error) known.isBroken = true;
  }

  step(messageId: string, partId: string): void {
    const message = this.#messages.get(messageId);
    if (!message || message.steps.has(partId)) return;
    message.steps.add(partId);
    const told = this.#told.get(message.sessionId);
    if (told) this.#told.set(message.sessionId, { ...told, isWaiting: false });
  }

  /** opencode waits before it calls again; `attempt` counts the failures within the newest message, or with those that it repeats. */
  retrying(sessionId: string, { attempt, nextAtMs }: Pick<ProviderRetry, 'attempt' | 'nextAtMs'>, atMs: number): void {
    const message = this.#newestOf(sessionId);
    if (!message || this.#isOlder(sessionId, atMs)) return;
    if (!message.isBroken) message.failed = Math.max(message.failed, attempt - this.#brokenOf(sessionId));
    this.#told.set(sessionId, { isWaiting: true, untilMs: nextAtMs, atMs });
  }

  /** A read of opencode 2 says so of one that waits, too. */
  busy(sessionId: string, atMs: number): void {
    const { isWaiting = false, untilMs = 0 } = this.#told.get(sessionId) ?? {};
    if (isWaiting && atMs < untilMs) return;
    if (!this.#isOlder(sessionId, atMs)) this.#told.set(sessionId, { isWaiting: false, atMs });
  }

  get count(): number {
    let count = 0;
    for (const message of this.#messages.values()) {
      const { sessionId, steps, failed, isBroken } = message;
      const isNewest = this.#newestOf(sessionId) === message;
      const isWaiting = isNewest && this.#told.get(sessionId)?.isWaiting === true;
      const isRepeated = isWaiting || (isBroken && !isNewest);
      count += Math.max(steps.size, failed + (isRepeated ? 0 : 1));
    }
    return count;
  }

  #isOlder(sessionId: string, atMs: number): boolean {
    return atMs < (this.#told.get(sessionId)?.atMs ?? 0);
  }

  #brokenOf(sessionId: string): number {
    return [...this.#messages.values()].filter((one) => one.sessionId === sessionId && one.isBroken).length;
  }

  #newestOf(sessionId: string): CalledMessage | undefined {
    let newest: [string, CalledMessage] | undefined;
    for (const entry of this.#messages) if (entry[1].sessionId === sessionId && (!newest || entry[0] > newest[0])) newest = entry;
    return newest?.[1];
  }
}
