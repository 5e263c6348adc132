import { stat, realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { OpencodeManagerError } from '@opencode-manager/core';
import { printable } from '../render/index.ts';
import { parseTasks, readSource, type NamedTask, type ParsedTasks } from '../task-file/index.ts';
import type { RunFlags } from '../flags.ts';
import type { Terminal } from '../terminal/index.ts';

/**
 * The tasks of a command line: those of the file, then one for each `--prompt`; the highest priority first.
 * @throws OpencodeManagerError `USAGE`, `TASK_INVALID`, `TASK_DUPLICATE`, `DIRECTORY_MISSING`
 */
export async function collectTasks(
  terminal: Terminal,
  file: string | undefined,
  flags: Pick<RunFlags, 'prompt' | 'strictFields'>,
  baseDirectory: string,
): Promise<readonly NamedTask[]> {
  const prompts = flags.prompt ?? [];
  if (file === undefined) await refuseSwallowedFile(prompts);
  if (file === undefined && prompts.length === 0) {
    throw new OpencodeManagerError('USAGE', 'There is nothing to run. Name a task file, - for standard input, or give a --prompt TEXT.');
  }
  const fromFile = file === undefined ? [] : (await readTasks(terminal, file, baseDirectory, flags.strictFields)).tasks;
  const fromFlags = prompts.length === 0 ? [] : promptTasks(prompts, new Set(fromFile.map(({ id }) => id)), baseDirectory);
  const tasks = await withRealDirectories([...fromFile, ...fromFlags]);
  await refuseMissingFiles(tasks);
  // The pool takes tasks as slots come free: the order in which they are offered decides.
  return tasks.toSorted((a, b) => (b.priority ?? 0) - (a.priority ?? 0));
}

async function readTasks(terminal: Terminal, file: string, baseDirectory: string, strictFields = false): Promise<ParsedTasks> {
  const source = file === '-' ? 'standard input' : file;
  const filesDirectory = file === '-' ? baseDirectory : dirname(resolve(file));
  const parsed = parseTasks(await readSource(file, terminal.streams.stdin), { source, baseDirectory, filesDirectory, strictFields });
  const ignored = parsed.ignoredFields;
  if (ignored.length > 0) terminal.notice(`${source}: fields that a task does not have are left out: ${listedNames(ignored)}`);
  return parsed;
}

/** A file of another tool may have a field for each of its lines, and names of any length. */
function listedNames(names: readonly string[]): string {
  const listed = names.slice(0, 10).map((name) => printable(name.slice(0, 60)));
  return names.length > listed.length ? `${listed.join(', ')} and ${names.length - listed.length} more` : listed.join(', ');
}

function promptTasks(prompts: readonly string[], taken: ReadonlySet<string>, baseDirectory: string): readonly NamedTask[] {
  const lines = prompts.map((prompt, index) => JSON.stringify({ id: freeId(`prompt-${index + 1}`, taken), prompt }));
  return parseTasks(lines.join('\n'), { source: '--prompt', baseDirectory }).tasks;
}

function freeId(wanted: string, taken: ReadonlySet<string>): string {
  let id = wanted;
  for (let suffix = 2; taken.has(id); suffix += 1) id = `${wanted}-${suffix}`;
  return id;
}

/** `--prompt TEXT FILE` makes FILE a prompt, which nobody who writes it means. */
async function refuseSwallowedFile(prompts: readonly string[]): Promise<void> {
  const last = prompts.at(-1);
  if (last === undefined || !/\.(?:jsonl|ndjson|json|ya?ml|csv|tsv)$/.test(last)) return;
  const exists = await stat(last).then(
    () => true,
    () => false,
  );
  if (exists)
    throw new OpencodeManagerError(
      'USAGE',
      `--prompt takes every text after it, so ${last} would be sent as a prompt. Name the file first: ocm run ${last} --prompt TEXT`,
    );
}

async function withRealDirectories(tasks: readonly NamedTask[]): Promise<NamedTask[]> {
  const real = new Map<string, string>();
  for (const { id, directory } of tasks)
    if (directory !== undefined && !real.has(directory)) real.set(directory, await realDirectory(directory, id));
  return tasks.map((task) => (task.directory === undefined ? task : { ...task, directory: real.get(task.directory)! }));
}

/** Each file is looked at once, however many tasks have it. */
async function refuseMissingFiles(tasks: readonly NamedTask[]): Promise<void> {
  const known = new Set<string>();
  for (const { id, files = [] } of tasks)
    for (const { path } of files) {
      if (path === undefined || known.has(path)) continue;
      known.add(path);
      const found = await stat(path).catch(() => undefined);
      if (found?.isFile()) continue;
      const message = `Task ${id}: files: ${path} ${found ? 'is no regular file' : 'does not exist'}. Nothing was started.`;
      throw new OpencodeManagerError('TASK_INVALID', message, { details: { task: id, field: 'files', path } });
    }
}

async function realDirectory(path: string, taskId: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return realpath(path);
  throw new OpencodeManagerError(
    'DIRECTORY_MISSING',
    `Task ${taskId}: directory ${path} ${found ? 'is not a directory' : 'does not exist'}; nothing was started.`,
    {
      details: { task: taskId, path },
    },
  );
}
