import { taskLineSchema } from './schema.ts';

type Line = Readonly<Record<string, unknown>>;

/** A row that another tool takes: how to know it, and the filter of jq that makes a task of it. */
interface ForeignRow {
  readonly name: string;
  readonly fits: (line: Line) => boolean;
  /** The text of the last message, from the root of the row. */
  readonly prompt: string;
}

const at = (value: unknown, ...path: readonly (string | number)[]): unknown =>
  path.reduce<unknown>((inner, key) => (typeof inner === 'object' && inner !== null ? (inner as Line)[key] : undefined), value);

/** Some have the content as text, others as a list of parts. */
const textOf = (content: string): string => `(${content} | if type == "array" then map(.text // empty) | join("\\n") else . end)`;

const foreignRows: readonly ForeignRow[] = [
  { name: 'a chat API', fits: (line) => Array.isArray(line['messages']), prompt: textOf('.messages[-1].content') },
  { name: 'a chat API', fits: (line) => at(line, 'prompt', 0, 'content') !== undefined, prompt: textOf('.prompt[-1].content') },
  {
    name: 'the batch API of OpenAI',
    fits: (line) => Array.isArray(at(line, 'body', 'messages')),
    prompt: textOf('.body.messages[-1].content'),
  },
  { name: 'the batch API of OpenAI', fits: (line) => typeof at(line, 'body', 'prompt') === 'string', prompt: '.body.prompt' },
  {
    name: 'the batch API of OpenAI',
    fits: (line) => at(line, 'body', 'input') !== undefined,
    prompt: `(.body.input | if type == "array" then .[-1].content else . end | if type == "array" then map(.text // empty) | join("\\n") else . end)`,
  },
  {
    name: 'the batch API of Anthropic',
    fits: (line) => Array.isArray(at(line, 'params', 'messages')),
    prompt: textOf('.params.messages[-1].content'),
  },
  {
    name: 'the batch API of Gemini',
    fits: (line) => Array.isArray(at(line, 'request', 'contents')),
    prompt: '([.request.contents[-1].parts[] | .text // empty] | join("\\n"))',
  },
  {
    name: 'ShareGPT',
    fits: (line) => typeof at(line, 'conversations', 0, 'value') === 'string',
    prompt: '([.conversations[] | select(.from == "human" or .from == "user") | .value][0])',
  },
];

/** How a row of another tool becomes a task; undefined for one that no such tool takes. */
export function conversionOf(line: Line): string | undefined {
  const row = foreignRows.find(({ fits }) => fits(line));
  if (!row) return undefined;
  const convert = `jq -c '{id: (.custom_id // .key // .id), prompt: ${row.prompt}}'`;
  return `This is a row of ${row.name}; opencode takes one prompt. Convert the file, for example with: ${convert}`;
}

/** Why a task has no prompt, where its shape tells. For JSON Lines with a filter of jq that would help. */
export function missingPrompt(line: Line, isLines: boolean): string {
  const conversion = conversionOf(line);
  if (conversion !== undefined) return `prompt: is missing. ${conversion}`;
  const columns = Object.keys(line).filter((key) => !(key in taskLineSchema.shape) && typeof line[key] === 'string' && line[key] !== '');
  if (columns.length === 0) return 'prompt: is missing';
  const rename = `prompt: is missing. Rename the column that holds it (${columns.slice(0, 5).join(', ')})`;
  if (!isLines) return rename;
  const example = `jq -c '.prompt = .${JSON.stringify(columns[0])}'`;
  return `${rename}, for example with: ${example}`;
}
