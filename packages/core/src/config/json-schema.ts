import * as z from 'zod';
import { serverConfigSchema } from './schema.ts';

/** JSON Schema (2020-12) of a configuration file, for editors; committed as `schema/server-config.json`. */
export function serverConfigJsonSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(serverConfigSchema, { io: 'input' }), title: 'opencode-manager server configuration' };
}
