export { serverConfigJsonSchema } from './json-schema.ts';
export { serverConfigSchema, type ServerConfig } from './schema.ts';
export { absolute, parseServerConfig, realDirectory, resolveConfig, type ResolvedConfig } from './resolve.ts';
export {
  effectiveConfig,
  parseJsonc,
  readJsonc,
  withAbsoluteReferences,
  type EffectiveConfig,
  type OpencodeConfig,
} from './opencode-config.ts';
export { withGuardedRules } from './guarded-edits.ts';
export { needsModelCatalogue } from './model-catalogue.ts';
