import type { WireAssistant, WireMessage, WireToolState } from './wire.ts';

/**
 * What a turn has set to work in the background. A tool that does so succeeds at once, and the turn ends; when the work is done, opencode tells it to
 * the session by a message of its own, which begins a second execution. Until that is told, the turn is not over.
 */
export function backgroundWork({ status, metadata }: WireToolState): string | undefined {
  if (status !== 'completed' || metadata?.['status'] !== 'running') return undefined;
  return idOf(metadata['shellID']) ?? idOf(metadata['sessionID']);
}

/** The work whose end a synthetic message tells. */
export function workToldBy(metadata: Readonly<Record<string, unknown>> | undefined): string | undefined {
  return idOf(metadata?.['shellID']) ?? idOf(metadata?.['childID']);
}

/**
 * Follows what the newest turn of a session has set to work in the background, message by message. What an earlier turn has left was ended with it, or with a
 * server that was killed, and its end may never be told; a prompt that joins a running turn begins none.
 */
export class BackgroundWork {
  readonly #open = new Set<string>();
  #isAtRest = true;

  /** What has not told its end, by the ids of shells and sub-agents. */
  get open(): ReadonlySet<string> {
    return this.#open;
  }

  see(message: WireMessage): void {
    if (message.type === 'idle') this.#isAtRest = true;
    const isOver = message.type === 'idle' && message.outcome === 'interrupted';
    if (isOver || (message.type === 'user' && this.#isAtRest)) this.#open.clear();
    if (message.type === 'assistant') this.#answered(message);
    const told = message.type === 'synthetic' ? workToldBy(message.metadata) : undefined;
    if (told !== undefined) this.#open.delete(told);
  }

  #answered(message: WireAssistant): void {
    this.#isAtRest = wasCutShort(message);
    for (const one of message.content ?? []) {
      const work = one.type === 'tool' ? backgroundWork(one.state) : undefined;
      if (work !== undefined) this.#open.add(work);
    }
  }
}

/** The work that the messages of a session leave open. */
export function openWork(messages: readonly WireMessage[]): ReadonlySet<string> {
  const work = new BackgroundWork();
  for (const message of messages) work.see(message);
  return work.open;
}

/** Nothing followed in its turn: somebody or the end of the server cut it short. */
const wasCutShort = ({ finish, error }: WireAssistant): boolean => (error ? error.type === 'aborted' : finish === undefined);

const idOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
