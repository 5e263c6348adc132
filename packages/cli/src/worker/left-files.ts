import { copyFile, mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Ledger } from '@opencode-manager/queue';
import type { JournalEvent, Lease } from '@opencode-manager/runs';
import { attemptArtifacts } from '@opencode-manager/runs/read';

type Ended = Extract<JournalEvent, { type: 'attempt.ended' }>;

/** Largest file that goes through the queue, in bytes. */
const largestFile = 1_000_000;

/** What an attempt leaves, by the names that it has in the directory of a run. */
export interface LeftFiles {
  readonly ledger: Ledger;
  readonly lease: Pick<Lease, 'run' | 'key'>;
  /** Where transcripts were written on this host. */
  readonly path: string;
  /** A directory that all hosts see; undefined for the queue alone. */
  readonly shared: string | undefined;
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

async function sendFile({ ledger, lease, shared }: LeftFiles, attempt: number, name: string, from: string): Promise<void> {
  const found = await stat(from).catch(() => undefined);
  if (!found) return;
  const of = { run: lease.run, key: lease.key, attempt };
  if (shared !== undefined) {
    const place = attemptArtifacts(join(shared, lease.run), lease.key, attempt);
    await mkdir(place, { recursive: true, mode: 0o700 });
    await copyFile(from, join(place, name));
    return ledger.putFile(of, { name, bytes: found.size, content: null, path: join(place, name) });
  }
  const content = found.size <= largestFile ? await readFile(from) : null;
  return ledger.putFile(of, { name, bytes: found.size, content, path: null });
}
