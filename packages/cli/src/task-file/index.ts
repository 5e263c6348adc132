export { parseDuration } from './duration.ts';
export { parseTasks, type NamedTask, type ParsedTasks, type ParseOptions } from './parse.ts';
export { readJsoncFile, readPermissions, readSource, readText } from './read.ts';
export { aliases, maxPromptBytes } from './schema.ts';
