import { decodeHistoryEntry, requests, type ServerEvent } from '@opencode-manager/core/protocol';
import { controlRequest, type ControlOptions } from './control-request.ts';

/** Reads the stored events after the given sequence of each session. @throws Error when the answer is not a history. */
export async function readHistory(after: ReadonlyMap<string, number>, options: ControlOptions): Promise<ServerEvent[]> {
  const entries = await controlRequest(requests.history(Object.fromEntries(after)), options);
  return entries.map(decodeHistoryEntry);
}
