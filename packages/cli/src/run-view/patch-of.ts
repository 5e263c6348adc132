import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { attemptArtifacts, type AttemptEnded } from '@opencode-manager/runs/read';

/** The patch of an attempt: a file, or why there is none. */
export type FoundPatch =
  | { readonly type: 'file'; readonly path: string }
  /** Nothing was changed. */
  | { readonly type: 'empty' }
  /** `why` is a sentence. */
  | { readonly type: 'missing'; readonly why: string };

/** Looks for the patch where the result says, then in the directory of the run, which may have been moved. */
export async function patchOf(
  run: string,
  { key, attempt, result }: Pick<AttemptEnded, 'key' | 'attempt' | 'result'>,
): Promise<FoundPatch> {
  const beside = join(attemptArtifacts(run, key, attempt), 'patch.diff');
  for (const path of [result.patch, beside]) if (typeof path === 'string' && (await isFile(path))) return { type: 'file', path };
  const { base_commit: base, ref, truncated, patch } = result;
  if (base === undefined || ref === undefined)
    return { type: 'missing', why: 'No patch was taken: the task had no workspace of its own, or its changes could not be taken.' };
  const command = `git diff --binary ${base} ${ref}`;
  if (truncated) return { type: 'missing', why: `The patch was too large to be written. Its ref has it: ${command}` };
  if (typeof patch === 'string') return { type: 'missing', why: `${patch} is gone. The ref may still have it: ${command}` };
  return { type: 'empty' };
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}
