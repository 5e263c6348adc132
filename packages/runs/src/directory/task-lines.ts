import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { unlessMissing, unreadable, wordsOf } from '../errors.ts';

const taskLineSchema = z.object({
  /** 1 for what the run began with, one more for each time that tasks were added. */
  generation: z.int().min(1),
  key: z.string().min(1),
  hash: z.string().regex(/^ocm-task-v\d+:[0-9a-f]{64}$/, 'is no hash of a task'),
  /** A digest for each field of the hash: later versions of the task are compared with it. */
  fields: z.record(z.string(), z.string()),
  /** Attached files, with their contents as they were when the task was added. */
  files: z.array(z.object({ name: z.string(), mime: z.string().optional(), sha256: z.string() })).optional(),
  /** null for a task that came from code. */
  source: z.object({ file: z.string(), line: z.int().min(1) }).nullable(),
  /** The task, with its defaults filled in. */
  task: z.record(z.string(), z.unknown()),
});

/** A line of `tasks.jsonl`. A key that comes again replaces its earlier line: the task has changed. */
export type TaskLine = z.output<typeof taskLineSchema>;

/**
 * The lines of `tasks.jsonl` in their order. A last line that a crash cut off was never told, and does not count.
 * @throws `RUN_UNREADABLE` when the file is missing, or naming the line that is damaged
 */
export async function readTaskLines(path: string): Promise<TaskLine[]> {
  const text = await readFile(path, 'utf8').catch(unlessMissing);
  if (text === undefined) throw unreadable(path, 'is missing');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line, index) => taskIn(line, path, index + 1));
}

function taskIn(line: string, path: string, number: number): TaskLine {
  let reason: unknown;
  try {
    const parsed = taskLineSchema.safeParse(JSON.parse(line));
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    reason = new Error(`${issue?.path.join('.')}: ${issue?.message}`);
  } catch (error) {
    reason = error;
  }
  throw unreadable(path, `is damaged in line ${number}: ${wordsOf(reason)}`, reason);
}
