import { copyFile, mkdir, open, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { untilAnswered, type FileOf, type Ledger, type QueuedFile } from '@opencode-manager/queue';
import type { JournalEvent, Lease } from '@opencode-manager/runs';
import { attemptArtifacts } from '@opencode-manager/runs/read';

type Ended = Extract<JournalEvent, { type: 'attempt.ended' }>;

/** Largest file that goes through the queue, in bytes. */
const largestFile = 1_000_000;

/** Where what an attempt leaves comes from, and goes to. */
export interface LeftFiles {
  readonly ledger: Pick<Ledger, 'putFile'>;
  readonly lease: Pick<Lease, 'run' | 'key'>;
  /** Where transcripts were written on this host. */
  readonly path: string;
  /** A directory that all hosts see; undefined for the queue alone. */
  readonly shared: string | undefined;
  /** Once it is aborted, a queue that does not answer is not asked again. */
  readonly giveUp: AbortSignal;
  readonly note: (line: string) => void;
}

/**
 * Sends what an attempt has left ahead of the row of its end. That row names a patch, by its name alone, only when the patch was sent: one that is
 * not there any more is told as `null`, never as a file that nobody has.
 */
export async function sendFiles(left: LeftFiles, event: Ended): Promise<Ended> {
  const { key, attempt, result } = event;
  await sendFile(left, attempt, join(attemptArtifacts(left.path, key, attempt), 'transcript.jsonl'), false);
  // Refs of its workspace are of a clone on this host.
  const { ref: _ref, submodules, ...told } = result;
  return {
    ...event,
    result: {
      ...told,
      ...(await sendPatch(left, attempt, result.patch)),
      ...(submodules && { submodules: await sendPatches(left, attempt, submodules) }),
    },
  };
}

type Submodules = NonNullable<Ended['result']['submodules']>;

async function sendPatches(left: LeftFiles, attempt: number, submodules: Submodules): Promise<Submodules> {
  const sent: Submodules[number][] = [];
  for (const one of submodules) sent.push({ ...one, ...(await sendPatch(left, attempt, one.patch)) });
  return sent;
}

async function sendPatch(left: LeftFiles, attempt: number, patch: string | null | undefined) {
  if (patch == null) return {};
  return (await sendFile(left, attempt, patch, true)) ? { patch: basename(patch) } : { patch: null, truncated: true as const };
}

/** Whether there is such a file. One that is `wanted` and cannot be read is told of. */
async function sendFile(left: LeftFiles, attempt: number, from: string, wanted: boolean): Promise<boolean> {
  const { ledger, lease, giveUp, note } = left;
  const of = { run: lease.run, key: lease.key, attempt };
  const name = basename(from);
  const file = await fileOf(left, of, name, from).catch((error: unknown) => {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    if (wanted || !isMissing) note(`${name} of ${lease.key}, attempt ${attempt}, cannot be sent: ${(error as Error).message}`);
    return undefined;
  });
  if (file) await untilAnswered(() => ledger.putFile(of, file), giveUp);
  return file !== undefined;
}

async function fileOf(left: LeftFiles, of: FileOf, name: string, from: string): Promise<QueuedFile> {
  const { size: bytes } = await stat(from);
  const path = await share(left, of, name, from);
  return { name, bytes, content: path === null && bytes <= largestFile ? await readFile(from) : null, path };
}

/** Where all hosts see it; null when it goes through the queue. */
async function share({ shared, note }: LeftFiles, { run, key, attempt }: FileOf, name: string, from: string): Promise<string | null> {
  if (shared === undefined) return null;
  const place = attemptArtifacts(join(shared, run), key, attempt);
  const path = join(place, name);
  try {
    await mkdir(place, { recursive: true, mode: 0o700 });
    await copyFile(from, path);
    await using file = await open(path, 'r+');
    await file.datasync();
    return path;
  } catch (error) {
    note(`${name} of ${key}, attempt ${attempt}, goes through the queue: ${(error as Error).message}`);
    return null;
  }
}
