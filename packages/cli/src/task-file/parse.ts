import { resolve } from 'node:path';
import type { TaskFile, TaskLimits } from '@opencode-manager/actors';
import { OpencodeManagerError } from '@opencode-manager/core';
import { keyTasks, taskKey, type RunTaskSpec } from '@opencode-manager/runs';
import { defaultsOf, withDefaults } from './defaults.ts';
import { parseDuration } from './duration.ts';
import { problemOf, withoutAliases } from './fields.ts';
import { conversionOf, missingPrompt } from './foreign-rows.ts';
import { readDocument, type Fields, type Row, type TaskDocument } from './formats/index.ts';
import { combinationsOf, mostTasks, type Combination } from './matrix.ts';
import { Problems, shown, type Report } from './problems.ts';
import { SchemaFiles } from './schema-files.ts';
import { taskLineSchema, type TaskLine } from './schema.ts';

/** A task with its id decided and its paths absolute. */
export type NamedTask = RunTaskSpec & { readonly id: string };

export interface ParsedTasks {
  readonly tasks: readonly NamedTask[];
  /** Names of fields that are no part of a task and were left out, for a note to the user. */
  readonly ignoredFields: readonly string[];
}

export interface ParseOptions {
  /** How the source is called in messages. The end of its name says what format it has; else its content does. */
  readonly source: string;
  /** Relative `directory` values count from here. */
  readonly baseDirectory: string;
  /** Relative paths of `files` and `output_schema` count from here: where the task file lies. Default `baseDirectory`. */
  readonly filesDirectory?: string;
  /** Refuses every field that a task does not have. Default: columns of data sets are left out. */
  readonly strictFields?: boolean;
}

interface ReadTask {
  readonly task: RunTaskSpec;
  /** As the file has it: a repository that is moved gives no task another name. */
  readonly own: RunTaskSpec;
}

interface Entry extends ReadTask {
  readonly line: number;
}

/**
 * Reads a task file: JSON Lines, a JSON array, YAML or CSV. Everything that is wrong with it is found before anything starts.
 * @throws OpencodeManagerError `TASK_INVALID` with the bad places, `TASK_DUPLICATE`
 *
 * @example
 * parseTasks('{"prompt": "Say hello"}\n', { source: 'tasks.jsonl', baseDirectory: process.cwd() }).tasks[0]?.id // 'h-1c0ff2bb8f53d1a4'
 */
export function parseTasks(text: string, options: ParseOptions): ParsedTasks {
  const problems = new Problems(options.source);
  const document = readDocument(text, options.source, problems);
  const reader = new TaskReader(document, options, problems);
  const entries = document.rows.flatMap((row) => reader.read(row));
  problems.throwIfAny();
  if (entries.length === 0)
    throw new OpencodeManagerError(
      'TASK_INVALID',
      `${options.source} holds no task. Write one JSON object a line, for example {"prompt": "Say hello"}.`,
    );
  return { tasks: nameTasks(entries, options.source), ignoredFields: [...reader.ignored] };
}

/** Makes tasks of what a file holds. */
class TaskReader {
  /** Names of fields that were left out. */
  readonly ignored = new Set<string>();
  readonly #options: ParseOptions;
  readonly #problems: Problems;
  readonly #schemas: SchemaFiles;
  readonly #isLines: boolean;
  readonly #defaults: Fields;
  /** Undefined without a matrix. */
  readonly #combinations: readonly Combination[] | undefined;

  constructor({ unit, defaults, matrix, rows }: TaskDocument, options: ParseOptions, problems: Problems) {
    this.#options = options;
    this.#schemas = new SchemaFiles(options.filesDirectory ?? options.baseDirectory);
    this.#problems = problems;
    this.#isLines = unit === 'line';
    this.#defaults = defaults ? defaultsOf(defaults, problems) : {};
    this.#combinations = matrix && combinationsOf(matrix, problems);
    const count = rows.length * (this.#combinations?.length ?? 1);
    if (matrix && count > mostTasks) problems.at(matrix.place)(`makes ${count} tasks; at most ${mostTasks} are run`);
  }

  /** The tasks of a row: one, or one for each combination of the matrix. */
  read({ place, fields: line }: Row): readonly Entry[] {
    const report = this.#problems.at(place);
    const own = withoutAliases(line, report);
    this.#checkNames(own, report);
    const fields = withDefaults(line, own, this.#defaults);
    const read = this.#combinations
      ? this.#combinations.map((one) => this.#readCombination(fields, own, one, report))
      : [this.#readFields(fields, report)];
    return read.flatMap((task) => (task ? [{ ...task, line: place.line }] : []));
  }

  #checkNames(fields: Fields, report: Report): void {
    for (const [key, entry] of Object.entries(fields)) {
      if (key in taskLineSchema.shape) continue;
      const problem = problemOf(key, entry, fields) ?? (this.#options.strictFields ? `${key}: is no field of a task` : undefined);
      if (problem === undefined) this.ignored.add(key);
      else report(problem);
    }
  }

  #readCombination(fields: Fields, own: Fields, { axes, label }: Combination, report: Report): ReadTask | undefined {
    const both = Object.keys(axes).find((name) => name in own);
    if (both !== undefined) return report(`${both}: is an axis of the matrix too; take it out of the task, or out of the matrix`);
    const read = this.#readFields({ ...fields, ...axes }, report);
    if (!read) return undefined;
    const { task } = read;
    if (task.metadata && 'matrix' in task.metadata) return report('metadata.matrix: is where the values of the matrix are told');
    const added = {
      id: idIn(read, axes, label),
      ...(task.after && { after: task.after.map((key) => `${key}/${label}`) }),
      metadata: { ...task.metadata, matrix: axes },
    };
    return { task: { ...task, ...added }, own: { ...read.own, ...added } };
  }

  #readFields(fields: Fields, report: Report): ReadTask | undefined {
    const result = taskLineSchema.safeParse(fields);
    if (result.success)
      return kindsOf(result.data) === 0
        ? report(missingPrompt(fields, this.#isLines))
        : toTask(result.data, { ...this.#options, schemas: this.#schemas }, report);
    for (const { path, message } of result.error.issues) {
      const conversion = path.join() === 'prompt' ? conversionOf(fields) : undefined;
      report(`${path.join('.')}: ${withReceived(message, fields, path)}${conversion === undefined ? '' : `. ${conversion}`}`);
    }
    return undefined;
  }
}

/** The id of a task and the values of its axes; without an id what the task asks for besides them. */
function idIn({ own }: ReadTask, axes: Combination['axes'], label: string): string {
  const shared = Object.fromEntries(Object.entries(own).filter(([name]) => !(name in axes)));
  return `${taskKey(shared)}/${label}`;
}

function withReceived(message: string, fields: Fields, path: readonly PropertyKey[]): string {
  if (!message.startsWith('must') || message.includes('; received')) return message;
  const received = path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], fields);
  return `${message}; received ${shown(received)}`;
}

function toTask(
  { timeout, directory, limits, files, output_schema: schema, ...line }: TaskLine,
  options: ParseOptions & { readonly schemas: SchemaFiles },
  report: Report,
): ReadTask | undefined {
  if (kindsOf(line) > 1) return report('a task has exactly one of prompt, command and shell');
  if (files && line.prompt === undefined) return report('files: go with a prompt alone');
  if (schema !== undefined && line.shell !== undefined) return report('output_schema: goes with a prompt or a command');
  if (timeout !== undefined && limits?.timeout !== undefined) return report('timeout: stands in limits too; leave out one');
  const { baseDirectory, filesDirectory = baseDirectory } = options;
  try {
    const defined = Object.fromEntries(Object.entries(line).filter(([, value]) => value !== undefined)) as RunTaskSpec;
    const task = {
      ...defined,
      ...(timeout !== undefined && { timeoutMs: parseDuration(timeout, 'timeout') }),
      ...(limits && { limits: toLimits(limits) }),
      ...(schema !== undefined && { outputSchema: options.schemas.read(schema) }),
    };
    const named = files?.map((file) => (typeof file === 'string' ? { path: file } : file) as TaskFile);
    return {
      task: {
        ...task,
        ...(directory !== undefined && { directory: resolve(baseDirectory, directory) }),
        ...(named && {
          files: named.map((file) => (file.path === undefined ? file : { ...file, path: resolve(filesDirectory, file.path) })),
        }),
      },
      own: { ...task, ...(directory !== undefined && { directory }), ...(named && { files: named }) },
    };
  } catch (error) {
    return report((error as Error).message);
  }
}

function toLimits({ timeout, working, stall, ...numbers }: NonNullable<TaskLine['limits']>): TaskLimits {
  const times = Object.entries({ timeout, working, stall }).flatMap(([name, text]) =>
    text === undefined ? [] : [[`${name}Ms`, parseDuration(text, `limits.${name}`)] as const],
  );
  const given = Object.entries(numbers).filter(([, value]) => value !== undefined);
  return Object.fromEntries([...times, ...given]);
}

/** How many kinds of work a line names. */
function kindsOf({ prompt, command, shell }: Pick<TaskLine, 'prompt' | 'command' | 'shell'>): number {
  return [prompt, command, shell].filter((value) => value !== undefined).length;
}

/**
 * Gives each task without an id one that is made of what it asks for: the same in every run, wherever its line stands.
 * @throws `TASK_DUPLICATE` for tasks of one id, and for equal ones without
 */
function nameTasks(entries: readonly Entry[], source: string): NamedTask[] {
  const keyed = keyTasks(entries.map(({ own, line }) => ({ task: own, place: { source, line } })));
  return keyed.map(({ key }, index) => Object.assign({}, entries[index]!.task, { id: key }));
}
