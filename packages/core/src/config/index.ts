export { serverConfigJsonSchema } from './json-schema.ts';
export { serverConfigSchema, type ServerConfig } from './schema.ts';
export { absolute, parseServerConfig, realDirectory, resolveConfig, type ResolvedConfig } from './resolve.ts';
export { parseJsonc, readJsonc, type OpencodeConfig } from './jsonc.ts';
export { agentFileAt, configFileNames, readGivenConfig, readOpencodeConfig, templateAt } from './given/index.ts';
