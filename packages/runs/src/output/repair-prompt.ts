import type { OutputSchema } from './output-schema.ts';

/** What a model is told whose answer does not fit: each thing that is wrong, and the schema. */
export function repairPrompt(problems: readonly string[], schema: OutputSchema): string {
  return [
    'Your last answer does not fit the JSON Schema that it has to fit:',
    ...problems.map((problem) => `- ${problem}`),
    '',
    'Answer again with the whole corrected JSON and nothing else: no other text, no explanation. This is the schema:',
    '```json',
    JSON.stringify(schema),
    '```',
  ].join('\n');
}
