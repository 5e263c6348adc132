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

/** Work of a session's newest turn that its messages do not tell the end of. What an earlier turn has left concerns none that comes after it. */
export function openWork(messages: readonly WireMessage[]): Set<string> {
  const open = new Set<string>();
  for (const message of messages) {
    if (message.type === 'user') open.clear();
    if (message.type === 'assistant')
      for (const one of message.content ?? []) {
        const work = one.type === 'tool' ? backgroundWork(one.state) : undefined;
        if (work !== undefined) open.add(work);
      }
    if (message.type !== 'synthetic') continue;
    const told = workToldBy(message.metadata);
    if (told !== undefined) open.delete(told);
  }
  return open;
}

const idOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
