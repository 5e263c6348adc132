// Writes what is derived from the sources: the JSON Schema of the configuration and docs/errors.md.
import { writeFile } from 'node:fs/promises';
import { serverConfigJsonSchema } from '../src/config/index.ts';
import { errorDocument } from '../src/errors/document.ts';

await writeFile(new URL('../schema/server-config.json', import.meta.url), `${JSON.stringify(serverConfigJsonSchema(), null, 2)}\n`);
await writeFile(new URL('../../../docs/errors.md', import.meta.url), errorDocument());
