import { OpencodeManagerError } from '@opencode-manager/core';
import { parseCount } from '../options/index.ts';
import type { RunFlags } from '../flags.ts';
import type { NamedTask } from '../task-file/index.ts';

/**
 * The tasks that `--filter` and `--limit` leave, with what the flags say of each.
 * @throws OpencodeManagerError `USAGE` when none is left, or one comes after a task that is not taken
 */
export function selectTasks(tasks: readonly NamedTask[], { filter, limit, retries }: RunFlags): readonly NamedTask[] {
  const patterns = filter?.map(globPattern);
  const matching = patterns ? tasks.filter(({ id }) => patterns.some((pattern) => pattern.test(id))) : tasks;
  if (patterns && matching.length === 0)
    throw new OpencodeManagerError('USAGE', `--filter: no task has an id like ${filter!.join(' or ')} (* stands for any characters).`);
  const taken = limit === undefined ? matching : matching.slice(0, parseCount(limit, '--limit', { min: 1, max: 1_000_000 }));
  refuseMissing(tasks, taken);
  if (retries === undefined) return taken;
  const further = parseCount(retries, '--retries', { min: 0, max: 100 });
  return taken.map((task) => Object.assign({}, task, { retries: task.retries ?? further }));
}

/** Of those that come after others, these have to be there too. */
function refuseMissing(all: readonly NamedTask[], taken: readonly NamedTask[]): void {
  if (all.length === taken.length) return;
  const [known, left] = [new Set(all.map(({ id }) => id)), new Set(taken.map(({ id }) => id))];
  for (const { id, after = [] } of taken) {
    const missing = after.find((key) => known.has(key) && !left.has(key));
    if (missing === undefined) continue;
    const message = `Task ${id} comes after ${missing}, which --filter or --limit leaves out. Take both, or none.`;
    throw new OpencodeManagerError('USAGE', message);
  }
}

/** `*` stands for any characters, `?` for one. */
function globPattern(glob: string): RegExp {
  const text = glob
    .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${text}$`, 's');
}
