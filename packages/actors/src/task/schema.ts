import { OpencodeManagerError } from '@opencode-manager/core/errors';
import { permissionPolicyInCode, permissionPolicySchema } from '@opencode-manager/core/policy-schema';
import { fileUrlProblem } from '@opencode-manager/core/protocol';
import * as z from 'zod';
import { limitFields, taskFields, taskValues } from './fields.ts';
import type { Task, TaskLimits } from './types.ts';

export { permissionPolicySchema };

const fileUrl = z.string().superRefine((url, context) => {
  const problem = fileUrlProblem(url);
  if (problem !== undefined)
    context.addIssue({ code: 'custom', message: `${url.length > 80 ? `${url.slice(0, 80)}...` : url}: ${problem}` });
});

const fileSchema = z
  .strictObject({ path: z.string().min(1).optional(), url: fileUrl.optional(), mime: z.string().min(1).optional() })
  .refine(({ path, url }) => (path === undefined) !== (url === undefined), 'needs exactly one of path and url');

const milliseconds = z.int().min(1).optional();

/** See `TaskLimits`. */
const limitsSchema = z.strictObject({ ...limitFields, timeoutMs: milliseconds, workingMs: milliseconds, stallMs: milliseconds });

/** @throws `CONFIG_INVALID` naming the field */
export function parseTaskLimits(limits: TaskLimits, name: string): TaskLimits {
  const parsed = limitsSchema.safeParse(limits);
  if (parsed.success) return limits;
  const [issue] = parsed.error.issues;
  const field = [name, ...(issue?.path ?? [])].join('.');
  throw new OpencodeManagerError('CONFIG_INVALID', `${field}: ${issue?.message ?? 'it is no limit'}.`, { details: { field } });
}

/** A task as code passes it in. Unknown fields are refused: a mistyped `timeout` must not run without a deadline. */
const taskSchema = z
  .strictObject({
    ...taskFields,
    id: taskValues.name.optional(),
    files: z.array(fileSchema).optional(),
    workspace: z.string().min(1).optional(),
    timeoutMs: milliseconds,
    limits: limitsSchema.optional(),
    permissions: permissionPolicyInCode.optional(),
    emptyAnswer: z.enum(['allow', 'refuse']).optional(),
  })
  .refine(
    ({ prompt, command, shell }) => [prompt, command, shell].filter((field) => field !== undefined).length === 1,
    'needs exactly one of prompt, command and shell',
  )
  .refine(({ prompt, files }) => files === undefined || prompt !== undefined, 'files go with a prompt alone');

/** Checks a task. @throws `TASK_INVALID` naming the field and the reason; nothing was sent */
export function parseTask(task: Task): Task {
  const parsed = taskSchema.safeParse(task);
  if (parsed.success) return task;
  const reasons = parsed.error.issues.map(({ path, message }) => (path.length > 0 ? `${path.join('.')}: ${message}` : message));
  const name = typeof task?.id === 'string' ? `Task ${task.id}` : 'The task';
  throw new OpencodeManagerError('TASK_INVALID', `${name} cannot be run: ${reasons.join('; ')}. Nothing was sent.`, {
    details: { field: parsed.error.issues[0]?.path.join('.') ?? '' },
  });
}
