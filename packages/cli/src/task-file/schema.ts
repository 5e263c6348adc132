import { limitFields, taskFields, taskValues } from '@opencode-manager/actors';
import { didYouMean } from '@opencode-manager/core/errors';
import * as z from 'zod';

/** Names that other tools' data sets use, and the field each stands for. */
export const aliases: Readonly<Record<string, 'id' | 'prompt'>> = {
  custom_id: 'id',
  instance_id: 'id',
  task_id: 'id',
  input: 'prompt',
  instruction: 'prompt',
  problem_statement: 'prompt',
};

const { text, name } = taskValues;

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
const limits = {
  timeout: durationText.optional(),
  working: durationText.optional(),
  stall: durationText.optional(),
  ...limitFields,
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

/** The fields of a task in a file: those of a task in code, and what a run knows. Numbers are taken as ids, since data sets have them. */
export const taskLineSchema = z.object({
  ...taskFields,
  id: z
    .preprocess((value) => (typeof value === 'number' ? String(value) : value), name)
    .meta({ type: ['string', 'number'], description: 'Unique in the file; made of what the task asks for when absent.' })
    .optional(),
  files: z
    .array(fileSchema, { error: 'must be a list of paths' })
    .describe('Files and images that go with the prompt; paths count from the task file.')
    .optional(),
  workspace: z
    .enum(['shared', 'clone', 'worktree', 'copy'], { error: 'must be "shared", "clone", "worktree" or "copy"' })
    .describe('Where the task works: in its directory, or in a place of its own made of it.')
    .optional(),
  timeout: durationText.describe('Deadline of its turn, such as 90s, 5m or 1h30m.').optional(),
  limits: limitsSchema.describe('What the task may take, with its sub-agents.').optional(),
  permissions: permissionPolicySchema.describe('How permission requests are answered.').optional(),
  output_schema: z
    .union([z.record(z.string(), z.unknown()), z.boolean(), text], { error: 'must be a JSON Schema, or the path of a file with one' })
    .describe('The answer is JSON that fits this JSON Schema (2020-12): the schema, or the path of a file with it, from the task file.')
    .optional(),
  after: z.array(name, { error: 'must be a list of ids' }).describe('Ids of tasks that have to succeed first.').optional(),
  retries: count('a whole number of 0 to 100', 0, 100).describe('Further attempts after failures of its own.').optional(),
  repeat: count('a whole number of 1 to 10000', 1, 10_000).describe('Runs it so often, as ID#1, ID#2, ...').optional(),
});

export type TaskLine = z.output<typeof taskLineSchema>;
