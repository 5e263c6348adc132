/** Writes `schema/script.json`; run it after a change of `src/script/schema.ts`. A test holds the two together. */
import { writeFile } from 'node:fs/promises';

import { scriptJsonSchema } from '../src/script/json-schema.ts';

await writeFile(new URL('../schema/script.json', import.meta.url), scriptJsonSchema());
