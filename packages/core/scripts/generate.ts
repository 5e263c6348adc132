// Writes what is derived from the sources: the JSON Schema of the configuration, docs/errors.md and docs/outcomes.md.
import { writeFile } from 'node:fs/promises';
import { serverConfigJsonSchema } from '../src/config/index.ts';
import { errorDocument } from '../src/errors/document.ts';
import { outcomesDocument } from '../src/turn/outcomes-document.ts';

await writeFile(new URL('../schema/server-config.json', import.meta.url), `${JSON.stringify(serverConfigJsonSchema(), null, 2)}\n`);
await writeFile(new URL('../../../docs/errors.md', import.meta.url), errorDocument());
await writeFile(new URL('../../../docs/outcomes.md', import.meta.url), outcomesDocument());
