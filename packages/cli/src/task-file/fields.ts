import { distance } from 'fastest-levenshtein';
import { aliases, taskLineSchema } from './schema.ts';

type Line = Readonly<Record<string, unknown>>;

const known = Object.keys(taskLineSchema.shape) as (keyof typeof taskLineSchema.shape)[];
/** What a task has exactly one of. */
export const taskKinds: readonly string[] = ['prompt', 'command', 'shell'];

/** Replaces other tools' names by ours. A line that says the same thing under two names is refused: either could be meant. */
export function withoutAliases(line: Line, report: (problem: string) => void): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  const origin: Record<string, string> = {};
  for (const [key, entry] of Object.entries(textAsPrompt(joinInput(line)))) {
    // A prompt written as null or left out leaves room for a command or a shell line.
    if (entry === null) continue;
    const field = aliases[key] ?? key;
    if (origin[field] !== undefined) report(`${field}: given twice, as ${origin[field]} and as ${key}`);
    origin[field] = key;
    fields[field] = entry;
  }
  return fields;
}

/** Alpaca and its descendants: `input` is what the instruction is about, and often empty. */
function joinInput(line: Line): Line {
  const { instruction, input, ...rest } = line;
  if (typeof instruction !== 'string' || typeof input !== 'string') return line;
  return { ...rest, instruction: input.trim() === '' ? instruction : `${instruction}\n\n${input}` };
}

/** MBPP's name of it; beside a prompt, a command or a shell line it is a column like any other. */
function textAsPrompt(line: Line): Line {
  const { text, ...rest } = line;
  const isTold = Object.keys(rest).some((key) => taskKinds.includes(aliases[key] ?? key));
  return typeof text === 'string' && !isTold ? { ...rest, prompt: text } : line;
}

/** What is wrong with a field that is no field of a task; undefined for a column of a data set, which is left out. */
export function problemOf(key: string, value: unknown, line: Line): string | undefined {
  const meant = known.find((name) => isMeant(name, key, value, line));
  if (meant !== undefined) return `${key}: there is no such field. Did you mean ${meant}?`;
  const wish = wishes.find(({ names, fits }) => names.test(key) && fits(value));
  return wish && `${key}: is not supported, and without it the task would be another one. ${wish.advice}`;
}

/** A name that is mistyped: the line lacks the right one, and the value would do there. */
function isMeant(name: (typeof known)[number], key: string, value: unknown, line: Line): boolean {
  if (name in line || (taskKinds.includes(name) && taskKinds.some((kind) => kind in line))) return false;
  return isNear(key.toLowerCase(), name) && taskLineSchema.shape[name].safeParse(value).success;
}

function isNear(key: string, name: string): boolean {
  const differing = distance(key, name);
  // Two other letters in a short name make another word: code and model, file and title.
  return differing === 1 || (differing === 2 && ((key[0] === name[0] && name.length > 5) || sorted(key) === sorted(name)));
}

const sorted = (text: string): string => text.split('').toSorted().join('');

const isNumber = (value: unknown): boolean => typeof value === 'number' || (typeof value === 'string' && /^\d+(\.\d+)?$/.test(value));
const isFilled = (value: unknown): boolean => typeof value === 'object' && value !== null && Object.keys(value).length > 0;
const isListOfNumbers = (value: unknown): boolean => Array.isArray(value) && value.every((entry) => typeof entry === 'number');
const isText = (value: unknown): boolean => typeof value === 'string' && value !== '';

/** What people write into a task and nothing here carries out. */
const wishes: readonly { readonly names: RegExp; readonly fits: (value: unknown) => boolean; readonly advice: string }[] = [
  {
    names: /^((max_?)?usd(_?limit)?|max_?(cost|budget)(_?usd)?|cost_?limit(_?usd)?|budget_?usd)$/i,
    fits: isNumber,
    advice: 'Write "limits": {"usd": 2}.',
  },
  {
    names: /^max_?retr(y|ies)$|^max_?attempts$|^retry$/i,
    fits: (value) => isNumber(value) || value === true,
    advice: 'Write "retries": 1 for a second try after a failure.',
  },
  {
    names: /^(steps|max_?(turns|steps|iterations|tool_?calls)|step_?limit)$/i,
    fits: isNumber,
    advice: 'Write "limits": {"steps": 50}.',
  },
  {
    names: /^(max_?total_?tokens|token_?(limit|budget))$/i,
    fits: isNumber,
    advice: 'Write "limits": {"tokens": 200000}.',
  },
  {
    names: /^(working|stall)(_?(ms|time|timeout|limit))?$/i,
    fits: (value) => isNumber(value) || (typeof value === 'string' && /^\d+(\.\d+)?(ms|s|m|h)$/.test(value)),
    advice: 'Write "limits": {"working": "10m", "stall": "2m"}.',
  },
  {
    names: /^(temperature|top_?p|max_?(output_?|completion_?)?tokens|reasoning_?effort)$/i,
    fits: (value) => isNumber(value) || isText(value),
    advice: 'Set it for the model or an agent in the opencode configuration.',
  },
  {
    names: /^(timeout_?(ms|s|secs?|seconds|minutes)|time_?limit|deadline)$/i,
    fits: (value) => isNumber(value) || isText(value),
    advice: 'Write "timeout": "90s".',
  },
  { names: /^(cwd|work(ing)?_?dir(ectory)?)$/i, fits: isText, advice: 'Write "directory".' },
  { names: /^system_?(prompt|message|instructions?)$/i, fits: isText, advice: 'Write "system".' },
  {
    names: /^(attempts|n|num_?(samples|attempts))$/i,
    fits: (value) => isNumber(value) && Number(value) > 1,
    advice: 'Write "repeat": 3 to run a line three times.',
  },
  {
    names: /^(allowed_?|disallowed_?|disabled_?)?tools$/i,
    fits: (value) => isText(value) || isFilled(value),
    advice: 'Set "tools" or "permission" of an agent in the opencode configuration, and name it in "agent"; or write "permissions".',
  },
  {
    names: /^env(ironment)?(_?variables)?$/i,
    fits: (value) => isFilled(value) && !isListOfNumbers(value),
    advice: 'All tasks of a run have one environment: name the variables with --pass-env.',
  },
  {
    names: /^(variant|effort|thinking)$/i,
    fits: (value) => typeof value === 'string' && /^(none|minimal|low|medium|high|x-?high|max)$/i.test(value),
    advice: 'Set it for the model or an agent in the opencode configuration.',
  },
  {
    names: /^stop(_?(sequences?|words?))?$/i,
    fits: (value) => isText(value) || isFilled(value),
    advice: 'Set it for the model or an agent in the opencode configuration.',
  },
  {
    names: /^(depends_?on|run_?after)$/i,
    fits: (value) => isText(value) || Array.isArray(value),
    advice: 'Write "after": ["id"], with the ids of the tasks that have to succeed first.',
  },
  {
    names: /^(response_?format|(json|response|answer)_?schema)$/i,
    fits: isFilled,
    advice: 'Write "output_schema": {...}, a JSON Schema that the answer has to fit.',
  },
  {
    names: /^(attachments?|attached_?files|images)$/i,
    fits: (value) => isText(value) || (isFilled(value) && !isListOfNumbers(value)),
    advice: 'Write "files": ["path"].',
  },
  { names: /^(matrix|defaults)$/i, fits: isFilled, advice: 'It stands beside "tasks", in YAML or JSON, and counts for all of them.' },
];
