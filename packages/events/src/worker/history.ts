import type { ProtocolStream, ServerEvent } from '@opencode-manager/core/protocol';
import { controlRequest, type ControlOptions } from './control-request.ts';

/**
 * Reads the stored events after the given sequence of each session. One that cannot be decoded is left out and reported
 * to `onMalformed`: it would be the same at every attempt.
 *
 * @throws Error when the answer is not a history.
 */
export async function readHistory(
  replay: NonNullable<ProtocolStream['replay']>,
  after: Readonly<Record<string, number>>,
  options: ControlOptions,
  onMalformed: () => void,
): Promise<ServerEvent[]> {
  const entries = await controlRequest(replay.request(after), options);
  return entries.flatMap((entry) => decodeOrReport(() => replay.decode(entry), onMalformed));
}

function decodeOrReport(decode: () => ServerEvent, onMalformed: () => void): ServerEvent[] {
  try {
    return [decode()];
  } catch {
    onMalformed();
    return [];
  }
}
