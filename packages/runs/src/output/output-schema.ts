import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { failure, wordsOf } from '../errors.ts';
import { canonicalJson } from '../identity/canonical-json.ts';
import { jsonIn } from './json-in.ts';

/** A JSON Schema of the dialect 2020-12. */
export type OutputSchema = Readonly<Record<string, unknown>> | boolean;

/** What an answer says, or what is wrong with it: then there is a sentence at least. */
export type CheckedAnswer =
  | { readonly value: unknown; readonly problems: readonly [] }
  | { readonly problems: readonly [string, ...(readonly string[])] };

/** Reads an answer as JSON and holds it against a schema. */
export type OutputCheck = (answer: string) => CheckedAnswer;

/** Problems that are told before the rest is summed up. */
const mostProblems = 20;

/** Compiles output schemas, each once however many tasks have it. */
export class OutputSchemas {
  readonly #known = new Map<string, OutputCheck>();

  /** @throws `OUTPUT_SCHEMA_INVALID` naming the task and what is wrong with its schema */
  checkFor(key: string, schema: OutputSchema): OutputCheck {
    const text = canonicalJson(schema);
    const known = this.#known.get(text);
    if (known) return known;
    const check = checkOf(compile(key, schema));
    this.#known.set(text, check);
    return check;
  }
}

function compile(key: string, schema: OutputSchema): ValidateFunction {
  try {
    // One for each: two schemas may have the same $id. Unknown keywords and formats are notes (2020-12).
    return new Ajv2020({ allErrors: true, verbose: true, strict: false, validateFormats: false, logger: false }).compile(schema);
  } catch (error) {
    const message = `Task ${key}: output_schema: ${wordsOf(error)}. Write a JSON Schema of the dialect 2020-12, without references to elsewhere. Nothing was sent.`;
    throw failure('OUTPUT_SCHEMA_INVALID', message, { task: key, field: 'output_schema' }, error);
  }
}

function checkOf(validate: ValidateFunction): OutputCheck {
  return (answer) => {
    const found = jsonIn(answer);
    if (found.problem !== undefined) return { problems: [found.problem] };
    if (validate(found.value)) return { value: found.value, problems: [] };
    const [first = 'it does not fit', ...rest] = new Set(validate.errors?.map(problemOf));
    if (rest.length < mostProblems) return { problems: [first, ...rest] };
    return { problems: [first, ...rest.slice(0, mostProblems - 1), `and ${rest.length + 1 - mostProblems} more`] };
  };
}

/** Where, what is wanted, what was received: `/items/0/price must be number; received "12"`. */
function problemOf({ instancePath, message = 'does not fit', keyword, params, data }: ErrorObject): string {
  const where = instancePath === '' ? 'the answer' : instancePath;
  return `${where} ${message}${detailOf(keyword, params)}; received ${shown(data)}`;
}

function detailOf(keyword: string, params: Readonly<Record<string, unknown>>): string {
  if (keyword === 'additionalProperties') return ` (${String(params['additionalProperty'])})`;
  if (keyword === 'unevaluatedProperties') return ` (${String(params['unevaluatedProperty'])})`;
  if (keyword === 'enum') return ` (${shown(params['allowedValues'])})`;
  if (keyword === 'const') return ` (${shown(params['allowedValue'])})`;
  return '';
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}
