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
 * Work of a session's newest turn that its messages do not tell the end of. What an earlier turn has left concerns none that comes after it; a prompt
 * that joins a running turn begins none.
 */
export function openWork(messages: readonly WireMessage[]): Set<string> {
  const open = new Set<string>();
  let isAtRest = true;
  for (const message of messages) {
    if (message.type === 'idle') isAtRest = true;
    if (message.type === 'user' && isAtRest) open.clear();
    if (message.type === 'assistant') {
      isAtRest = wasCutShort(message);
      for (const one of message.content ?? []) {
        const work = one.type === 'tool' ? backgroundWork(one.state) : undefined;
        if (work !== undefined) open.add(work);
      }
    }
    if (message.type !== 'synthetic') continue;
    const told = workToldBy(message.metadata);
    if (told !== undefined) open.delete(told);
  }
  return open;
}

/** Nothing followed in its turn: somebody or the end of the server cut it short. */
const wasCutShort = ({ finish, error }: WireAssistant): boolean => (error ? error.type === 'aborted' : finish === undefined);

const idOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
