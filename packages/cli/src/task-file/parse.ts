import { resolve } from 'node:path';
import { OpencodeManagerError } from '@opencode-manager/core';
import { keyTasks, type RunTaskSpec } from '@opencode-manager/runs';
import { parseDuration } from './duration.ts';
import { problemOf, withoutAliases } from './fields.ts';
import { conversionOf, missingPrompt } from './foreign-rows.ts';
import { taskLineSchema, type TaskLine } from './schema.ts';

/** A task with its id decided and its paths absolute. */
export type NamedTask = RunTaskSpec & { readonly id: string };

export interface ParsedTasks {
  readonly tasks: readonly NamedTask[];
  /** Names of fields that are no part of a task and were left out, for a note to the user. */
  readonly ignoredFields: readonly string[];
}

export interface ParseOptions {
  /** How the source is called in messages. */
  readonly source: string;
  /** Relative `directory` values count from here. */
  readonly baseDirectory: string;
}

/** Bad lines that are listed before the rest is summed up. */
const listedProblems = 20;

interface Entry {
  readonly line: number;
  readonly task: RunTaskSpec;
  /** As the line has it: a repository that is moved gives no task another name. */
  readonly own: RunTaskSpec;
}

/** Notes a problem of the line at hand; gives undefined, as a reader that failed does. */
type Report = (problem: string) => undefined;

interface Problem {
  readonly line: number;
  readonly text: string;
}

/**
 * Reads a task file: JSON Lines, one task a line. Every bad line is found before anything starts.
 * @throws OpencodeManagerError `TASK_INVALID` with the numbers of the bad lines, `TASK_DUPLICATE`
 *
 * @example
 * parseTasks('{"prompt": "Say hello"}\n', { source: 'tasks.jsonl', baseDirectory: process.cwd() }).tasks[0]?.id // 'h-1c0ff2bb8f53d1a4'
 */
export function parseTasks(text: string, options: ParseOptions): ParsedTasks {
  const problems: Problem[] = [];
  const ignored = new Set<string>();
  const entries: Entry[] = [];
  for (const [line, content] of linesOf(text)) {
    const report: Report = (problem) => {
      problems.push({ line, text: problem });
      return undefined;
    };
    const task = parseLine(content, options, ignored, report);
    if (task) entries.push({ line, ...task });
  }
  if (problems.length > 0) throw badLines(problems, options.source);
  if (entries.length === 0)
    throw new OpencodeManagerError(
      'TASK_INVALID',
      `${options.source} holds no task. Write one JSON object a line, for example {"prompt": "Say hello"}.`,
    );
  return { tasks: nameTasks(entries, options.source), ignoredFields: [...ignored] };
}

function* linesOf(text: string): Generator<[number, string]> {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  for (const [index, line] of lines.entries()) if (line.trim() !== '') yield [index + 1, line];
}

function parseLine(content: string, options: ParseOptions, ignored: Set<string>, report: Report): Omit<Entry, 'line'> | undefined {
  const value = parseObject(content, report);
  if (!value) return undefined;
  const fields = withoutAliases(value, report);
  for (const [key, entry] of Object.entries(fields)) {
    if (key in taskLineSchema.shape) continue;
    const problem = problemOf(key, entry, fields);
    if (problem === undefined) ignored.add(key);
    else report(problem);
  }
  const result = taskLineSchema.safeParse(fields);
  if (result.success) return kindsOf(result.data) === 0 ? report(missingPrompt(fields)) : toTask(result.data, options, report);
  for (const { path, message } of result.error.issues) {
    const conversion = path.join() === 'prompt' ? conversionOf(fields) : undefined;
    report(`${path.join('.')}: ${message}${conversion === undefined ? '' : `. ${conversion}`}`);
  }
  return undefined;
}

function parseObject(content: string, report: Report): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(content);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    report(`must be a JSON object, one a line; received ${Array.isArray(value) ? 'an array' : JSON.stringify(value)?.slice(0, 40)}`);
  } catch (error) {
    report(`not JSON (${(error as Error).message})`);
  }
  return undefined;
}

function toTask({ timeout, directory, ...line }: TaskLine, options: ParseOptions, report: Report): Omit<Entry, 'line'> | undefined {
  if (kindsOf(line) > 1) return report('a task has exactly one of prompt, command and shell');
  try {
    const defined = Object.fromEntries(Object.entries(line).filter(([, value]) => value !== undefined)) as RunTaskSpec;
    const task = {
      ...defined,
      ...(directory !== undefined && { directory: resolve(options.baseDirectory, directory) }),
      ...(timeout !== undefined && { timeoutMs: parseDuration(timeout, 'timeout') }),
    };
    return { task, own: { ...task, ...(directory !== undefined && { directory }) } };
  } catch (error) {
    return report((error as Error).message);
  }
}

/** How many kinds of work a line names. */
function kindsOf({ prompt, command, shell }: Pick<TaskLine, 'prompt' | 'command' | 'shell'>): number {
  return [prompt, command, shell].filter((value) => value !== undefined).length;
}

function badLines(problems: readonly Problem[], source: string): OpencodeManagerError {
  const lines = problems.slice(0, listedProblems).map(({ line, text }) => `  line ${line}: ${text}`);
  const more = problems.length - lines.length;
  if (more > 0) lines.push(`  and ${more} more`);
  const numbers = [...new Set(problems.map(({ line }) => line))];
  return new OpencodeManagerError(
    'TASK_INVALID',
    `${source} has ${numbers.length === 1 ? 'a bad line' : `${numbers.length} bad lines`}; nothing was started.\n${lines.join('\n')}`,
    {
      details: { lines: numbers.slice(0, listedProblems), problems: problems.length },
    },
  );
}

/**
 * Gives each task without an id one that is made of what it asks for: the same in every run, wherever its line stands.
 * @throws `TASK_DUPLICATE` for tasks of one id, and for equal ones without
 */
function nameTasks(entries: readonly Entry[], source: string): NamedTask[] {
  const keyed = keyTasks(entries.map(({ own, line }) => ({ task: own, place: { source, line } })));
  return keyed.map(({ key }, index) => Object.assign({}, entries[index]!.task, { id: key }));
}
