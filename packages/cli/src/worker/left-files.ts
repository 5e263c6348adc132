import { copyFile, mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { toManagerError } from '@opencode-manager/core';
import { untilAnswered, type FileOf, type Ledger, type QueuedFile } from '@opencode-manager/queue';
import type { JournalEvent, Lease } from '@opencode-manager/runs';
import { attemptArtifacts } from '@opencode-manager/runs/read';

type Ended = Extract<JournalEvent, { type: 'attempt.ended' }>;

/** Largest file that goes through the queue, in bytes. */
const largestFile = 1_000_000;

/** Where what an attempt leaves comes from, and goes to. */
export interface LeftFiles {
  readonly ledger: Ledger;
  readonly lease: Pick<Lease, 'run' | 'key'>;
  /** Where transcripts were written on this host. */
  readonly path: string;
  /** A directory that all hosts see; undefined for the queue alone. */
  readonly shared: string | undefined;
  /** Once it is aborted, a queue that does not answer is not asked again. */
  readonly giveUp: AbortSignal;
  readonly note: (line: string) => void;
}

/** Sends what an attempt has left ahead of the row of its end, which names the patch by its name alone. */
export async function sendFiles(left: LeftFiles, event: Ended): Promise<Ended> {
  const { key, attempt, result } = event;
  await sendFile(left, attempt, 'transcript.jsonl', join(attemptArtifacts(left.path, key, attempt), 'transcript.jsonl'));
  // Refs of its workspace are of a clone on this host.
  const { ref: _ref, ...told } = result;
  if (result.patch == null) return { ...event, result: told };
  await sendFile(left, attempt, 'patch.diff', result.patch);
  return { ...event, result: { ...told, patch: 'patch.diff' } };
}

async function sendFile(left: LeftFiles, attempt: number, name: string, from: string): Promise<void> {
  const { ledger, lease, giveUp, note } = left;
  const of = { run: lease.run, key: lease.key, attempt };
  const file = await fileOf(left, of, name, from).catch((error: unknown) => {
    note(`${name} of ${lease.key}, attempt ${attempt}, cannot be sent: ${toManagerError(error).message}`);
    return undefined;
  });
  if (file) await untilAnswered(() => ledger.putFile(of, file), giveUp);
}

/** Undefined when there is no such file. */
async function fileOf({ shared }: LeftFiles, { run, key, attempt }: FileOf, name: string, from: string): Promise<QueuedFile | undefined> {
  const found = await stat(from).catch(() => undefined);
  if (!found) return undefined;
  const { size: bytes } = found;
  if (shared === undefined) return { name, bytes, content: bytes <= largestFile ? await readFile(from) : null, path: null };
  const place = attemptArtifacts(join(shared, run), key, attempt);
  await mkdir(place, { recursive: true, mode: 0o700 });
  await copyFile(from, join(place, name));
  return { name, bytes, content: null, path: join(place, name) };
}
