export { cataloguedProviders } from './catalogued-providers.ts';
export { serverConfigJsonSchema } from './json-schema.ts';
export { serverConfigSchema, type ServerConfig } from './schema.ts';
export { absolute, parseServerConfig, realDirectory, resolveConfig, type ResolvedConfig } from './resolve.ts';
export { parseJsonc, readJsonc, type OpencodeConfig } from './jsonc.ts';
export { effectiveConfig, type EffectiveConfig } from './opencode-config.ts';
export {
  agentFileAt,
  configFileNames,
  readGivenConfig,
  readOpencodeConfig,
  templateAt,
  type GivenConfig,
  type GivenOptions,
  type Substitution,
} from './given/index.ts';
export { withGuardedRules } from './guarded-edits.ts';
export { needsModelCatalogue } from './model-catalogue.ts';
