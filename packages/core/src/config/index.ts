export { serverConfigSchema, type ServerConfig } from './schema.ts';
