import { didYouMean } from '@opencode-manager/core/errors';
import * as z from 'zod';

/** Largest prompt that is sent: 10 MB, as UTF-8. */
export const maxPromptBytes = 10_000_000;

/** Names that other tools' data sets use, and the field each stands for. */
export const aliases: Readonly<Record<string, 'id' | 'prompt'>> = {
  custom_id: 'id',
  instance_id: 'id',
  task_id: 'id',
  input: 'prompt',
  instruction: 'prompt',
  problem_statement: 'prompt',
};

const text = z
  .string({ error: (issue) => `must be text; received ${kindOf(issue.input)}` })
  .refine((value) => value.trim() !== '', { error: 'is empty' })
  .refine((value) => !value.includes('\0'), { error: 'holds a NUL byte' })
  .refine((value) => Buffer.byteLength(value) <= maxPromptBytes, { error: `is longer than ${maxPromptBytes / 1_000_000} MB` });

/** Ids stand in progress lines, file names and records of others. */
const maxNameCharacters = 256;

const name = z
  .string({ error: (issue) => `must be text; received ${kindOf(issue.input)}` })
  .min(1, { error: 'is empty' })
  .max(maxNameCharacters, { error: `is longer than ${maxNameCharacters} characters` })
  .refine((value) => !value.includes('\0'), { error: 'holds a NUL byte' });

const count = (words: string, min: number, max: number) =>
  z
    .int({ error: `must be ${words}` })
    .min(min, { error: `must be ${words}` })
    .max(max, { error: `must be ${words}` });

/** One permission rule, as `--permissions FILE` and a task's `permissions` hold it. */
export const permissionRuleSchema = z.strictObject({
  permission: z.string().min(1),
  pattern: z.string().min(1).optional(),
  action: z.enum(['allow', 'deny', 'escalate']),
  message: z.string().optional(),
});

const permissionPolicySchema = z.union([z.enum(['deny', 'allow']), z.array(permissionRuleSchema)], {
  error: 'must be "deny", "allow" or a list of rules {permission, pattern?, action, message?}',
});

const durationText = z.string({ error: 'must be a duration such as "90s"' });
const above = (words: string) => z.number({ error: `must be ${words}` }).positive({ error: `must be ${words}` });
const wholeAbove = z.int({ error: 'must be a whole number above 0' }).min(1, { error: 'must be a whole number above 0' });

const limits = {
  timeout: durationText.optional(),
  working: durationText.optional(),
  stall: durationText.optional(),
  steps: wholeAbove.optional(),
  tokens: wholeAbove.optional(),
  usd: above('a number above 0').optional(),
};

/** What a task may take. A limit that does not exist is refused: it would not be kept. */
const limitsSchema = z.strictObject(limits, {
  error: (issue) => {
    if (issue.code !== 'unrecognized_keys') return 'must be an object such as {"timeout": "10m", "usd": 2}';
    const [unknown = ''] = issue.keys;
    return `there is no limit ${unknown}. ${didYouMean(unknown, Object.keys(limits))}Known: ${Object.keys(limits).join(', ')}`;
  },
});

const fileSchema = z.union(
  [text, z.strictObject({ path: text, mime: text.optional() }), z.strictObject({ url: text, mime: text.optional() })],
  { error: 'must be a path, or {path or url, mime?}' },
);

/** The fields of one line of a task file. Numbers and names as ids are both taken, since data sets have both. */
export const taskLineSchema = z.object({
  id: z.preprocess((value) => (typeof value === 'number' ? String(value) : value), name).optional(),
  prompt: text.optional(),
  command: text.optional(),
  shell: text.optional(),
  directory: text.optional(),
  workspace: z.enum(['shared', 'clone', 'worktree', 'copy'], { error: 'must be "shared", "clone", "worktree" or "copy"' }).optional(),
  model: z
    .string()
    .regex(/^[^/\s]+\/\S+$/, { error: 'must be written provider/model' })
    .refine((value) => !value.includes('\0'), { error: 'holds a NUL byte' })
    .optional(),
  agent: name.optional(),
  system: text.optional(),
  title: text.optional(),
  timeout: durationText.optional(),
  limits: limitsSchema.optional(),
  group: name.optional(),
  files: z.array(fileSchema, { error: 'must be a list of paths' }).optional(),
  priority: z.number({ error: (issue) => `must be a number; received ${kindOf(issue.input)}` }).optional(),
  permissions: permissionPolicySchema.optional(),
  output_schema: z
    .union([z.record(z.string(), z.unknown()), z.boolean(), text], { error: 'must be a JSON Schema, or the path of a file with one' })
    .optional(),
  after: z.array(name, { error: 'must be a list of ids' }).optional(),
  retries: count('a whole number of 0 to 100', 0, 100).optional(),
  repeat: count('a whole number of 1 to 10000', 1, 10_000).optional(),
  metadata: z.record(z.string(), z.unknown(), { error: 'must be an object' }).optional(),
});

export type TaskLine = z.output<typeof taskLineSchema>;

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : typeof value;
}
