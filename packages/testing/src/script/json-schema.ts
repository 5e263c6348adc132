import * as z from 'zod';

import { scriptSchema } from './schema.ts';

/** The JSON Schema of a script file, as text. Editors use it for completion; `parseScript` checks a little more. */
export function scriptJsonSchema(): string {
  return `${JSON.stringify(z.toJSONSchema(scriptSchema, { io: 'input' }), undefined, 2)}\n`;
}
