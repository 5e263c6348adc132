import { resolve } from 'node:path';
import type { FileDigest } from '../identity/file-digests.ts';
import { digestFiles } from '../identity/file-digests.ts';
import { taskHash, type TaskHash } from '../identity/task-hash.ts';
import { keyTasks } from '../identity/task-key.ts';
import type { SourceTask } from '../machine/index.ts';
import type { TaskLine } from '../directory/task-lines.ts';
import type { RunOptions, RunTaskSpec } from './types.ts';

/** A task with its identity. */
export interface IdentifiedTask extends TaskHash {
  readonly key: string;
  readonly task: RunTaskSpec;
  readonly files: readonly FileDigest[];
}

type Identity = Pick<RunOptions, 'tasks' | 'directory' | 'source' | 'pool' | 'workspaceOf'> & { readonly configuration: string };

/**
 * Gives each task its key and its hash; contents of attached files are read.
 * @throws `TASK_DUPLICATE`, `TASK_INVALID` for a file that cannot be read
 */
export async function identifyTasks(options: Identity): Promise<readonly IdentifiedTask[]> {
  const { tasks, source = 'tasks' } = options;
  const keyed = keyTasks(tasks.map((task, index) => ({ task, place: { source, position: index + 1 } })));
  const identified: IdentifiedTask[] = [];
  for (const { key, task } of keyed) identified.push(await identify(key, task, options));
  return identified;
}

async function identify(
  key: string,
  task: RunTaskSpec,
  { directory, pool = {}, workspaceOf, configuration }: Identity,
): Promise<IdentifiedTask> {
  const at = resolve(directory, task.directory ?? '.');
  const { prompt, command, shell, system, agent = pool.agent, model = pool.model } = task;
  const own = {
    ...(prompt !== undefined && { prompt }),
    ...(command !== undefined && { command }),
    ...(shell !== undefined && { shell }),
    ...(system !== undefined && { system }),
    ...(agent !== undefined && { agent }),
    ...(model !== undefined && { model }),
  };
  const files = await digestFiles(task.files ?? [], at);
  const permissions = task.permissions ?? pool.permissions;
  const facts = {
    task: own,
    files,
    workspace: workspaceOf?.(task) ?? { mode: 'shared', path: at },
    // A function cannot be compared; whether there is one can.
    ...(permissions !== undefined && { permissions: typeof permissions === 'function' ? 'a function' : permissions }),
    configuration,
  };
  return { key, task, files, ...taskHash(facts) };
}

/** As the machine takes it. */
export function sourceTask({ key, hash, fields, task }: IdentifiedTask, taskTimeoutMs: number | undefined): SourceTask {
  const { after = [], retries = 0, timeoutMs = taskTimeoutMs } = task;
  return { key, hash, fields, after, retries, ...(timeoutMs !== undefined && { limits: { timeout: timeoutMs } }) };
}

/** As `tasks.jsonl` has it. A permission callback is no JSON and stays with the program. */
export function taskLine({ key, hash, fields, task, files }: IdentifiedTask, generation: number): TaskLine {
  const { permissions, ...rest } = task;
  const kept = typeof permissions === 'function' || permissions === undefined ? rest : { ...rest, permissions };
  return {
    generation,
    key,
    hash,
    fields: { ...fields },
    ...(files.length > 0 && { files: files.map(({ name, mime, sha256 }) => ({ name, sha256, ...(mime !== undefined && { mime }) })) }),
    source: null,
    task: kept,
  };
}
