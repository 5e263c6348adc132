import { resolve } from 'node:path';
import type { FileDigest } from '../identity/file-digests.ts';
import { digestFiles, type KnownContents } from '../identity/file-digests.ts';
import { taskHash, type TaskHash } from '../identity/task-hash.ts';
import { keyTasks, repeatKey } from '../identity/task-key.ts';
import type { SourceTask } from '../machine/index.ts';
import type { TaskLine } from '../directory/task-lines.ts';
import { limitsOf } from './task-limits.ts';
import type { RunOptions, RunTaskSpec } from './types.ts';

/** A task with its identity. */
export interface IdentifiedTask extends TaskHash {
  readonly key: string;
  readonly task: RunTaskSpec;
  readonly files: readonly FileDigest[];
}

type Identity = Pick<RunOptions, 'tasks' | 'directory' | 'pool' | 'workspaceOf'> & { readonly configuration: string };

interface Named {
  readonly key: string;
  readonly task: RunTaskSpec;
  /** From 1; undefined for a task that is run once. */
  readonly repeat?: number;
}

/**
 * Gives each task its key and its hash; contents of attached files are read. A task that is repeated becomes so many.
 * @throws `TASK_DUPLICATE`, `TASK_INVALID` for a file that cannot be read
 */
export async function identifyTasks(options: Identity): Promise<readonly IdentifiedTask[]> {
  const identified: IdentifiedTask[] = [];
  const contents: KnownContents = new Map();
  for (const named of repeated(nameTasks(options.tasks))) identified.push(await identify(named, options, contents));
  return identified;
}

function nameTasks(tasks: readonly RunTaskSpec[]): readonly Named[] {
  return keyTasks(tasks.map((task, index) => ({ task, place: { source: 'tasks', position: index + 1 } })));
}

function repeated(tasks: readonly Named[]): readonly Named[] {
  const repeats = new Map(
    tasks.flatMap(({ key, task: { repeat } }) => (repeat === undefined ? [] : [[key, keysOf(key, repeat)] as const])),
  );
  return tasks.flatMap(({ key, task }) => {
    const after = task.after?.flatMap((before) => repeats.get(before) ?? [before]);
    const ordered = after ? { ...task, after } : task;
    return repeats.get(key)?.map((one, index) => ({ key: one, task: ordered, repeat: index + 1 })) ?? [{ key, task: ordered }];
  });
}

const keysOf = (key: string, repeat: number): string[] => Array.from({ length: repeat }, (_, index) => repeatKey(key, index + 1));

async function identify(
  { key, task, repeat }: Named,
  { directory, pool = {}, workspaceOf, configuration }: Identity,
  contents: KnownContents,
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
  const files = await digestFiles(task.files ?? [], at, contents);
  const permissions = task.permissions ?? pool.permissions;
  const facts = {
    task: own,
    files,
    workspace: workspaceOf?.(task) ?? { mode: 'shared', path: at },
    // A function cannot be compared; whether there is one can.
    ...(permissions !== undefined && { permissions: typeof permissions === 'function' ? 'a function' : permissions }),
    ...(task.outputSchema !== undefined && { outputSchema: task.outputSchema }),
    configuration,
    ...(repeat !== undefined && { repeat }),
  };
  return { key, task, files, ...taskHash(facts) };
}

/** As the machine takes it. */
export function sourceTask({ key, hash, fields, task }: IdentifiedTask, pool: RunOptions['pool'] = {}): SourceTask {
  const { after = [], retries = 0 } = task;
  const limits = limitsOf(task, pool);
  return { key, hash, fields, after, retries, ...(Object.keys(limits).length > 0 && { limits }) };
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
