import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { RunTaskSpec } from '@opencode-manager/runs';
import { shown } from './problems.ts';

type OutputSchema = NonNullable<RunTaskSpec['outputSchema']>;

/** Reads the output schemas of a task file: each file once. */
export class SchemaFiles {
  readonly #directory: string;
  readonly #known = new Map<string, OutputSchema>();

  /** @param directory Relative paths count from here */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** The schema itself, or that of the file that is named. @throws Error in words for a message about the field */
  read(named: OutputSchema | string): OutputSchema {
    if (typeof named !== 'string') return named;
    const path = resolve(this.#directory, named);
    const schema = this.#known.get(path) ?? schemaIn(path);
    this.#known.set(path, schema);
    return schema;
  }
}

function schemaIn(path: string): OutputSchema {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`output_schema: ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error });
  }
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new Error(`output_schema: ${path} is not JSON (${(error as Error).message})`, { cause: error });
  }
  const isSchema = typeof value === 'boolean' || (typeof value === 'object' && value !== null && !Array.isArray(value));
  if (!isSchema) throw new Error(`output_schema: ${path} must hold a JSON Schema; received ${shown(value)}`);
  return value as OutputSchema;
}
