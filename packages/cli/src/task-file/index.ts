export { parseDuration } from './duration.ts';
export { parseTasks, type NamedTask, type ParsedTasks } from './parse.ts';
export { readJsoncFile, readPermissions, readSource } from './read.ts';
