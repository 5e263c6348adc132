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
  /** Models that the configuration gives tasks which name none; absent where opencode chooses. */
  readonly default_models?: { readonly model?: string; readonly agents: Readonly<Record<string, string>> };
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

/** The provider that a task asks; undefined where opencode chooses. */
export function providerOfTask(
  { model, agent }: { readonly model?: string; readonly agent?: string },
  { default_models: given }: Manifest,
) {
  return providerOf(model ?? (agent === undefined ? undefined : given?.agents[agent]) ?? given?.model);
}

/** Of a configuration of opencode. */
export function defaultModelsIn(configuration: object): NonNullable<Manifest['default_models']> {
  const { model, agent = {} } = configuration as { model?: unknown; agent?: Record<string, { model?: unknown } | undefined> };
  const agents = Object.entries(agent).flatMap(([name, one]) => (typeof one?.model === 'string' ? [[name, one.model] as const] : []));
  return { ...(typeof model === 'string' && { model }), agents: Object.fromEntries(agents) };
}

/** Those that the tasks of a run ask. */
export function providersOf(tasks: Iterable<QueuedTask>, manifest: Manifest): ReadonlySet<string> {
  const named = [...tasks].map(({ task }) => providerOfTask(task, manifest));
  return new Set(named.filter((provider) => provider !== undefined));
}
