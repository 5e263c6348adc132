import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { attemptArtifacts } from '../directory/layout.ts';
import { unlessMissing } from '../errors.ts';
import type { TranscriptLine } from '../transcript/lines.ts';

/** The transcript of an attempt; undefined when it has none. A line that a crash cut off is left out. */
export async function readTranscript(path: string, key: string, attempt: number): Promise<TranscriptLine[] | undefined> {
  const file = join(attemptArtifacts(path, key, attempt), 'transcript.jsonl');
  const text = await readFile(file, 'utf8').catch(unlessMissing);
  return text?.split('\n').flatMap((line) => lineIn(line));
}

function lineIn(text: string): TranscriptLine[] {
  try {
    return [JSON.parse(text) as TranscriptLine];
  } catch {
    return [];
  }
}
