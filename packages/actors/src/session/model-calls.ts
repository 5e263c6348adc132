import type { AssistantMessageFacts } from '@opencode-manager/core/protocol';

interface CalledMessage {
  readonly sessionId: string;
  /** Calls that began to answer. */
  readonly steps: Set<string>;
  /** Calls that failed and were to be repeated within it. */
  failed: number;
  /** It has ended: a failure that ended it is repeated in a message of its own (opencode 2, when a stream breaks off behind a text). */
  ended: boolean;
}

/** What a session was told to do last; a read may be older than it. */
interface Told {
  readonly isWaiting: boolean;
  readonly atMs: number;
}

/**
 * How often a turn has called the model. opencode calls it once for each assistant message, and again within the same message after
 * a failure: it then tells a retry with its number, becomes busy, and begins a step when the model answers. An abort during the wait
 * leaves the call out that the wait was for. A failure that no event told of leaves nothing that could be read.
 */
export class ModelCalls {
  readonly #messages = new Map<string, CalledMessage>();
  readonly #told = new Map<string, Told>();

  message({ id, sessionId, completed }: AssistantMessageFacts): void {
    const known = this.#messages.get(id);
    if (!known) this.#messages.set(id, { sessionId, steps: new Set(), failed: 0, ended: completed });
    else if (completed) known.ended = true;
  }

  step(messageId: string, partId: string): void {
    const message = this.#messages.get(messageId);
    if (!message || message.steps.has(partId)) return;
    message.steps.add(partId);
    const told = this.#told.get(message.sessionId);
    if (told) this.#told.set(message.sessionId, { ...told, isWaiting: false });
  }

  /** opencode waits before it calls again; `attempt` counts the failures within the newest message. */
  retrying(sessionId: string, attempt: number, atMs: number): void {
    const message = this.#newestOf(sessionId);
    if (!message || this.#isOlder(sessionId, atMs)) return;
    if (!message.ended) message.failed = Math.max(message.failed, attempt);
    this.#told.set(sessionId, { isWaiting: true, atMs });
  }

  busy(sessionId: string, atMs: number): void {
    if (!this.#isOlder(sessionId, atMs)) this.#told.set(sessionId, { isWaiting: false, atMs });
  }

  get count(): number {
    let count = 0;
    for (const message of this.#messages.values()) {
      const { sessionId, steps, failed } = message;
      const isWaiting = this.#told.get(sessionId)?.isWaiting === true && this.#newestOf(sessionId) === message;
      count += Math.max(steps.size, failed + (isWaiting ? 0 : 1));
    }
    return count;
  }

  #isOlder(sessionId: string, atMs: number): boolean {
    return atMs < (this.#told.get(sessionId)?.atMs ?? 0);
  }

  #newestOf(sessionId: string): CalledMessage | undefined {
    let newest: [string, CalledMessage] | undefined;
    for (const entry of this.#messages) if (entry[1].sessionId === sessionId && (!newest || entry[0] > newest[0])) newest = entry;
    return newest?.[1];
  }
}
