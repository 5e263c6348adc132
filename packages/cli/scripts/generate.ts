// Writes what is derived from the sources: the JSON Schemas of a task and of a task file.
import { writeFile } from 'node:fs/promises';
import { taskFileJsonSchema, taskJsonSchema } from '../src/task-file/json-schema.ts';

const write = (name: string, schema: object) =>
  writeFile(new URL(`../schema/${name}.json`, import.meta.url), `${JSON.stringify(schema, null, 2)}\n`);

await write('task', taskJsonSchema());
await write('tasks', taskFileJsonSchema());
