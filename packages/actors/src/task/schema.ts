import { OpencodeManagerError } from '@opencode-manager/core/errors';
import { permissionPolicyInCode, permissionPolicySchema } from '@opencode-manager/core/policy-schema';
import { fileUrlProblem } from '@opencode-manager/core/protocol';
import * as z from 'zod';
import type { Task } from './types.ts';

/** Largest text of one prompt, command or shell line, in characters. */
const longestText = 10_000_000;

const text = z
  .string()
  .max(longestText, `is longer than ${longestText} characters`)
  .refine((value) => value.trim() !== '', 'is empty')
  .refine((value) => !value.includes('\0'), 'holds a NUL byte');

export { permissionPolicySchema };

const fileUrl = z.string().superRefine((url, context) => {
  const problem = fileUrlProblem(url);
  if (problem !== undefined)
    context.addIssue({ code: 'custom', message: `${url.length > 80 ? `${url.slice(0, 80)}...` : url}: ${problem}` });
});

const fileSchema = z
  .strictObject({ path: z.string().min(1).optional(), url: fileUrl.optional(), mime: z.string().min(1).optional() })
  .refine(({ path, url }) => (path === undefined) !== (url === undefined), 'needs exactly one of path and url');

/** Limits as code passes them in, in milliseconds and numbers. */
const limitsSchema = z.strictObject({
  timeoutMs: z.int().min(1).optional(),
  workingMs: z.int().min(1).optional(),
  stallMs: z.int().min(1).optional(),
  steps: z.int().min(1).optional(),
  tokens: z.int().min(1).optional(),
  usd: z.number().positive().optional(),
});

/** A task as code passes it in. Unknown fields are refused: a mistyped `timeout` must not run without a deadline. */
const taskSchema = z
  .strictObject({
    id: z.string().min(1).max(256).optional(),
    prompt: text.optional(),
    files: z.array(fileSchema).optional(),
    command: text.optional(),
    shell: text.optional(),
    directory: z.string().min(1).optional(),
    workspace: z.string().min(1).optional(),
    model: z
      .string()
      .regex(/^[^/]+\/.+$/, 'is not of the form provider/model')
      .optional(),
    agent: z.string().min(1).optional(),
    system: z.string().min(1).optional(),
    title: z.string().min(1).optional(),
    timeoutMs: z.int().min(1).optional(),
    limits: limitsSchema.optional(),
    priority: z.number().optional(),
    group: z.string().optional(),
    permissions: permissionPolicyInCode.optional(),
    emptyAnswer: z.enum(['allow', 'refuse']).optional(),
    metadata: z.record(z.string(), z.unknown()).optional(),
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
