import * as z from 'zod';

/** Largest text of a prompt, a command or a shell line: 10 MB, as UTF-8. */
export const maxPromptBytes = 10_000_000;

/** Ids stand in progress lines, file names and records of others. */
const maxNameCharacters = 256;

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : typeof value;
}

const received = (wanted: string) => (issue: { readonly input?: unknown }) => `must be ${wanted}; received ${kindOf(issue.input)}`;

const text = z
  .string({ error: received('text') })
  .refine((value) => value.trim() !== '', { error: 'is empty' })
  .refine((value) => !value.includes('\0'), { error: 'holds a NUL byte' })
  .refine((value) => isWithin(value, maxPromptBytes), { error: `is longer than ${maxPromptBytes / 1_000_000} MB` });

/** No character has more than three bytes for each of its units: most texts need not be written out. */
function isWithin(value: string, bytes: number): boolean {
  return value.length * 3 <= bytes || (value.length <= bytes && new TextEncoder().encode(value).length <= bytes);
}

const name = z
  .string({ error: received('text') })
  .min(1, { error: 'is empty' })
  .max(maxNameCharacters, { error: `is longer than ${maxNameCharacters} characters` })
  .refine((value) => !value.includes('\0'), { error: 'holds a NUL byte' });

const whole = z.int({ error: 'must be a whole number above 0' }).min(1, { error: 'must be a whole number above 0' });

/** What values of a task are, in code and in files. */
export const taskValues = { text, name, whole };

/** The fields that a task has in code and in files alike: files add names of their own for times, and what a run knows. */
export const taskFields = {
  prompt: text.describe('What to say. A task has exactly one of prompt, command and shell.').optional(),
  command: text.describe('A command of the configuration with its arguments: "review src/" or "/review src/".').optional(),
  shell: text.describe("A shell line, run in the session's directory; no model is asked.").optional(),
  directory: text.describe("Where the session works; the server's directory when absent.").optional(),
  model: z
    .string({ error: 'must be written provider/model' })
    .regex(/^[^/\s]+\/\S+$/, { error: 'must be written provider/model' })
    .refine((value) => !value.includes('\0'), { error: 'holds a NUL byte' })
    .describe('provider/model')
    .optional(),
  agent: name.describe('Agent of the configuration.').optional(),
  system: text.describe("Added to the system prompt of the task's turn.").optional(),
  title: text.describe('Title of the session; the id when absent.').optional(),
  priority: z
    .number({ error: received('a number') })
    .describe('Higher starts earlier; 0 when absent.')
    .optional(),
  group: name
    .describe('Tasks of one group share the slots fairly with those of others of the same priority, and are counted by it.')
    .optional(),
  metadata: z.record(z.string(), z.unknown(), { error: 'must be an object' }).describe('Carried into the result untouched.').optional(),
};

/** Limits that are numbers. */
export const limitFields = {
  steps: whole.describe('Calls of a model, sub-agents included.').optional(),
  tokens: whole.describe('Tokens of uncached input, output and reasoning, sub-agents included.').optional(),
  usd: z
    .number({ error: 'must be a number above 0' })
    .positive({ error: 'must be a number above 0' })
    .describe('US dollars, sub-agents included.')
    .optional(),
};
