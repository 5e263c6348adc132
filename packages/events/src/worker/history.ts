import { decodeHistoryEntry, requests, type ServerEvent, type WireHistoryEntry } from '@opencode-manager/core/protocol';
import { controlRequest, type ControlOptions } from './control-request.ts';

/**
 * Reads the stored events after the given sequence of each session. One that cannot be decoded is left out and reported
 * to `onMalformed`: it would be the same at every attempt.
 *
 * @throws Error when the answer is not a history.
 */
export async function readHistory(
  after: Readonly<Record<string, number>>,
  options: ControlOptions,
  onMalformed: () => void,
): Promise<ServerEvent[]> {
  const entries = await controlRequest(requests.history(after), options);
  return entries.flatMap((entry) => decodeOrReport(entry, onMalformed));
}

function decodeOrReport(entry: WireHistoryEntry, onMalformed: () => void): ServerEvent[] {
  try {
    return [decodeHistoryEntry(entry)];
  } catch {
    onMalformed();
    return [];
  }
}
