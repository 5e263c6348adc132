import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { SentTurn, SessionPool, TaskResult } from '@opencode-manager/actors';
import type { Redact } from '../redact.ts';
import { transcriptLines, type SessionHistory } from '../transcript/lines.ts';

/** How deep sub-agents of sub-agents are read. */
const deepest = 8;

/**
 * Writes `transcript.jsonl` of an attempt, synced, with its sub-agents' sessions. Gives why there is none; a transcript that cannot be had is no
 * failure of the task.
 */
export async function writeTranscript(
  directory: string,
  pool: SessionPool,
  { sessionId, messageId }: SentTurn,
  result: TaskResult,
  redact: Redact,
): Promise<string | undefined> {
  try {
    const histories = await historiesOf(pool, sessionId, 0);
    const head = { key: result.id, attempt: result.attempt, session: sessionId, message: messageId, model: result.model };
    const lines = transcriptLines(head, histories, result.asks);
    const path = join(directory, 'transcript.jsonl');
    await using file = await open(path, 'w', 0o600);
    await file.writeFile(lines.map((line) => `${JSON.stringify(redact(line))}\n`).join(''));
    await file.datasync();
    return undefined;
  } catch (error) {
    return `The transcript of ${result.id} could not be written: ${(error as Error).message}`;
  }
}

async function historiesOf(pool: SessionPool, session: string, depth: number): Promise<SessionHistory[]> {
  const operations = pool.serverOf(session).operations(session);
  const messages = await operations.messages();
  // Only what a session does besides speaking can begin another one: most have none, and are not asked for it.
  const mayHaveChildren = messages.some(({ parts }) => parts.some(({ type }) => type === 'tool' || type === 'other'));
  const children = mayHaveChildren && depth < deepest ? await operations.children() : [];
  const below = await Promise.all(children.map(({ id }) => historiesOf(pool, id, depth + 1)));
  return [{ session, messages }, ...below.flat()];
}
