import { describe, expect, test } from 'vitest';
import { jsonIn } from '../src/output/json-in.ts';
import { OutputSchemas, type OutputSchema } from '../src/output/output-schema.ts';
import { repairPrompt } from '../src/output/repair-prompt.ts';

describe('the JSON of an answer', () => {
  test.each<[string, unknown]>([
    ['{"a": 1}', { a: 1 }],
    [' \n[1]\n', [1]],
    ['"text with ``` in it"', 'text with ``` in it'],
    ['Here it is:\n```json\n{"a": 1}\n```\nThat is all.', { a: 1 }],
    ['```\r\n{"a":\r\n 1}\r\n```\r\n', { a: 1 }],
    ['  ````json\n{"a": "```"}\n  ````', { a: '```' }],
    ['~~~\n5\n~~~', 5],
  ])('%j is found', (answer, value) => {
    expect(jsonIn(answer)).toEqual({ value });
  });

  test.each([
    ['It is 12.', 'the answer is no JSON ('],
    ['', 'the answer is no JSON ('],
    ['```json\n{"a": 1}\n```\nor\n```json\n{"a": 2}\n```', 'the answer has 2 fenced blocks'],
    ['So:\n```json\n{a: 1}\n```', 'the fenced block of the answer is no JSON ('],
    ['```json\n{"a": 1}', 'the answer is no JSON ('],
  ])('%j has none', (answer, problem) => {
    expect(jsonIn(answer).problem).toContain(problem);
  });
});

const schema: OutputSchema = {
  type: 'object',
  properties: { total: { type: 'number' }, kind: { enum: ['a', 'b'] }, items: { type: 'array', items: { type: 'string' } } },
  required: ['total'],
  additionalProperties: false,
};
const check = (answer: unknown, by: OutputSchema = schema) => new OutputSchemas().checkFor('t', by)(JSON.stringify(answer));

describe('an answer against its schema', () => {
  test('that fits has a value', () => {
    expect(check({ total: 5, kind: 'a' })).toEqual({ value: { total: 5, kind: 'a' }, problems: [] });
    expect(check(null, true)).toEqual({ value: null, problems: [] });
  });

  test('that does not fit: each place, what is wanted there, what was received', () => {
    expect(check({ kind: 'c', items: [1], more: true }).problems).toEqual([
      `the answer must have required property 'total'; received {"kind":"c","items":[1],"more":true}`,
      'the answer must NOT have additional properties (more); received {"kind":"c","items":[1],"more":true}',
      '/kind must be equal to one of the allowed values (["a","b"]); received "c"',
      '/items/0 must be string; received 1',
    ]);
    const many = check({ total: 1, items: Array.from({ length: 50 }, () => 1) }).problems;
    expect([many.length, many.at(-1)]).toEqual([21, 'and 30 more']);
  });

  test('is told all of it with the schema', () => {
    expect(repairPrompt(['/a must be string; received 1'], { type: 'object' })).toBe(
      'Your last answer does not fit the JSON Schema that it has to fit:\n- /a must be string; received 1\n\n' +
        'Answer again with the whole corrected JSON and nothing else: no other text, no explanation. This is the schema:\n' +
        '```json\n{"type":"object"}\n```',
    );
  });
});

test.each<[OutputSchema, string]>([
  [{ type: 'objekt' }, 'Task t: output_schema: schema is invalid: data/type must be equal to one of the allowed values'],
  [{ $ref: 'https://example.invalid/other.json' }, "can't resolve reference https://example.invalid/other.json"],
  [
    { $schema: 'http://json-schema.org/draft-07/schema#', type: 'object' },
    'no schema with key or ref "http://json-schema.org/draft-07/schema#"',
  ],
  [{ type: 'string', pattern: '(' }, 'Invalid regular expression'],
])('the schema %j is refused', (invalid, message) => {
  const error = { code: 'OUTPUT_SCHEMA_INVALID', message: expect.stringContaining(message) as string };
  expect(() => new OutputSchemas().checkFor('t', invalid)).toThrow(expect.objectContaining(error) as Error);
});

test('two schemas of one $id are two, and what is unknown to the dialect is a note', () => {
  const schemas = new OutputSchemas();
  const first = schemas.checkFor('a', { $id: 'x', type: 'number', example: 5, format: 'odd' });
  const second = schemas.checkFor('b', { $id: 'x', type: 'string' });
  expect([first('5').problems, second('"5"').problems, first('"5"').problems]).toEqual([
    [],
    [],
    ['the answer must be number; received "5"'],
  ]);
  expect(schemas.checkFor('c', { type: 'string', $id: 'x' })).toBe(second);
});
