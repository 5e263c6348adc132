import { OpencodeManagerError } from '@opencode-manager/core';
import type { LeasedTask, RunFile } from '@opencode-manager/runs';
import type { RunFlags } from '../flags.ts';

/** Flags of a run that count on every host. Those of its server are the host's own. */
export const sharedFlags = ['onQuota', 'transcripts', 'setup', 'setupTimeout', 'ready', 'readyTimeout', 'include', 'lfs'] as const;

type SharedFlags = Pick<RunFlags, (typeof sharedFlags)[number]>;

/** What hosts know of a run of a queue, besides its tasks. Plain JSON. */
export interface Manifest extends Pick<
  RunFile,
  'source' | 'argv' | 'directory' | 'configuration_digest' | 'versions' | 'git' | 'base_commits'
> {
  readonly schema_version: 1;
  readonly flags: SharedFlags;
}

/** Where a task works: in a clone of a repository that all hosts reach, or in a directory that all of them see. */
export type QueuedPlace =
  | {
      readonly type: 'clone';
      readonly url: string;
      readonly commit: string;
      /** Below the top level; '' at the top. */
      readonly prefix: string;
    }
  | { readonly type: 'shared'; readonly path: string };

/** A task as it stands in the queue. Plain JSON. */
export interface QueuedTask extends LeasedTask {
  readonly fields: Readonly<Record<string, string>>;
  readonly place: QueuedPlace;
}

/** @throws OpencodeManagerError `QUEUE_RUN_DIFFERS` for one of a newer version */
export function manifestIn(run: string, text: string): Manifest {
  const manifest = JSON.parse(text) as Manifest;
  if (manifest.schema_version === 1) return manifest;
  throw new OpencodeManagerError('QUEUE_RUN_DIFFERS', `The run ${run} was put into the queue by a newer version of ocm. Use that version.`);
}

/** Of `provider/model`. */
export function providerOf(model: string | undefined): string | undefined {
  return model?.split('/')[0];
}
