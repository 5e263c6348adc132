import * as z from 'zod';
import { noAxes } from './matrix.ts';
import { aliases, taskLineSchema } from './schema.ts';

type Json = Readonly<Record<string, unknown>>;

const dialect = 'https://json-schema.org/draft/2020-12/schema';

/** JSON Schema (2020-12) of one task, as a line of JSON Lines has it; committed as `schema/task.json`. */
export function taskJsonSchema(): Json {
  return { $schema: dialect, title: 'A task of opencode-manager', ...bareTask() };
}

/** JSON Schema (2020-12) of a task file in YAML or JSON, for editors; committed as `schema/tasks.json`. */
export function taskFileJsonSchema(): Json {
  const tasks = { type: 'array', minItems: 1, items: { $ref: '#/$defs/task' } };
  const { properties } = bareTask();
  const axes = Object.keys(taskLineSchema.shape).filter((name) => !noAxes.has(name));
  const axis = { type: 'array', minItems: 1, uniqueItems: true, items: { type: ['string', 'number', 'boolean'] } };
  const exclude = { type: 'array', items: { type: 'object' }, description: 'Combinations that are left out.' };
  const parts = {
    defaults: {
      type: 'object',
      properties: without(properties, 'id'),
      additionalProperties: false,
      description: 'Merged under each task.',
    },
    matrix: {
      type: 'object',
      properties: { ...Object.fromEntries(axes.map((name) => [name, axis])), exclude },
      additionalProperties: false,
      description: 'Runs each task once for each combination of these values.',
    },
    tasks,
  };
  return {
    $schema: dialect,
    title: 'A task file of opencode-manager',
    anyOf: [tasks, { type: 'object', properties: parts, required: ['tasks'], additionalProperties: false }],
    $defs: { task: bareTask() },
  };
}

/** Columns that are no field of a task are left out of it: they are no fault. A field that is null is absent. */
function bareTask(): Json & { readonly properties: Json } {
  const { $schema: _dialect, ...schema } = z.toJSONSchema(taskLineSchema, { io: 'input', unrepresentable: 'any' });
  const properties = schema.properties as Json;
  const others = Object.entries(aliases).map(([name, field]) => [name, { ...(properties[field] as Json), description: `As ${field}.` }]);
  const all = Object.entries({ ...properties, ...Object.fromEntries(others) });
  return { ...schema, properties: Object.fromEntries(all.map(([name, field]) => [name, orNull(field as Json)])) };
}

function orNull({ description, ...field }: Json): Json {
  return { description, anyOf: [field, { type: 'null' }] };
}

function without(properties: Json, field: string): Json {
  return Object.fromEntries(Object.entries(properties).filter(([name]) => name !== field && aliases[name] !== field));
}
