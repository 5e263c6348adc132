import { isManagerError, type OpencodeManagerError } from '@opencode-manager/core';

/** The error of ours that a promise rejects with. */
export async function failureOf(work: Promise<unknown>): Promise<OpencodeManagerError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (isManagerError(error)) return error;
  throw new Error(`expected a rejection with one of our errors, received ${String(error)}`);
}
