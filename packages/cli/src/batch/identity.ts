import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { RunFile, RunOptions, RunTaskSpec } from '@opencode-manager/runs';
import { pinCommit, repositoryFacts, resolveCommit, type RepositoryFacts } from '@opencode-manager/workspaces';
import type { RunFlags } from '../flags.ts';
import type { NamedTask } from '../task-file/index.ts';

type WorkspaceFacts = ReturnType<NonNullable<RunOptions['workspaceOf']>>;

/** Where tasks work, as far as that can change their answers: read once, before anything starts. */
export interface Places {
  readonly workspaceOf: (task: RunTaskSpec) => WorkspaceFacts;
  /** Commit on which the workspaces of a directory begin; undefined outside git. */
  readonly baseOf: (directory: string) => Promise<string | undefined>;
  readonly git: RunFile['git'];
  /** Base commits by real directory. */
  readonly baseCommits: Readonly<Record<string, string>>;
  /** Keeps the base commits from being collected while the run may need them. */
  pin(run: string): Promise<void>;
}

export interface PlacesOptions {
  readonly tasks: readonly NamedTask[];
  readonly flags: RunFlags;
  /** Where tasks work that name no directory. */
  readonly directory: string;
  /** As they were resolved when the run began. */
  readonly baseCommits: Readonly<Record<string, string>>;
}

/** Reads the repositories that tasks work in, if any. */
export async function readPlaces({ tasks, flags, directory, baseCommits }: PlacesOptions): Promise<Places> {
  const facts = new Map<string, { readonly repository: RepositoryFacts | undefined; readonly base: string | undefined }>();
  const bases: Record<string, string> = { ...baseCommits };
  const real = new Map<string, string>();
  const modeOf = (task: RunTaskSpec) => task.workspace ?? flags.workspace ?? 'shared';
  for (const task of tasks) {
    const at = resolve(directory, task.directory ?? '.');
    const mode = modeOf(task);
    if ((mode !== 'clone' && mode !== 'worktree') || facts.has(at)) continue;
    const place = await realpath(at).catch(() => at);
    real.set(at, place);
    // Whoever makes the workspaces says what is wrong with it.
    const repository = await repositoryFacts(place).catch(() => undefined);
    const base = repository?.head ? (bases[place] ?? (await resolveCommit(place, 'HEAD'))) : undefined;
    if (base !== undefined) bases[place] = base;
    facts.set(at, { repository, base });
  }
  const own = facts.get(resolve(directory))?.repository ?? (await repositoryFacts(directory).catch(() => undefined));
  return {
    workspaceOf(task) {
      const [mode, at] = [modeOf(task), resolve(directory, task.directory ?? '.')];
      const known = facts.get(at);
      const { include, setup } = flags;
      const made = { ...(include && { include }), ...(setup !== undefined && { setup }) };
      if (!known?.repository) return { mode, path: at, ...(mode !== 'shared' && made) };
      const { rootCommit, prefix } = known.repository;
      return {
        mode,
        directory: prefix,
        ...(rootCommit !== null && { rootCommit }),
        ...(known.base !== undefined && { baseCommit: known.base }),
        ...made,
      };
    },
    baseOf: async (at) => bases[await realpath(at).catch(() => at)],
    git: own ? { head: own.head, dirty: own.dirty } : null,
    baseCommits: bases,
    async pin(run) {
      for (const [place, commit] of Object.entries(bases)) await pinCommit(place, run, commit).catch(() => undefined);
    },
  };
}
