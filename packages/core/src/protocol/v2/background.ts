import type { WireMessage, WireToolState } from './wire.ts';

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
 * Work of a session's last turn that its messages do not tell the end of. That of an earlier turn was ended with it, or with a server that was killed, and its
 * end may never be told.
 */
export function openWork(messages: readonly WireMessage[]): Set<string> {
  const open = new Set<string>();
  for (const message of messages) followWork(open, message);
  return open;
}

/** Brings what is open up to a message. */
export function followWork(open: Set<string>, message: WireMessage): void {
  if (message.type === 'user' || (message.type === 'idle' && message.outcome === 'interrupted')) open.clear();
  if (message.type === 'assistant')
    for (const one of message.content ?? []) {
      const work = one.type === 'tool' ? backgroundWork(one.state) : undefined;
      if (work !== undefined) open.add(work);
    }
  const told = message.type === 'synthetic' ? workToldBy(message.metadata) : undefined;
  if (told !== undefined) open.delete(told);
}

const idOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
