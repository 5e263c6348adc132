export { canonicalJson } from './identity/canonical-json.ts';
export { digestFiles, type FileDigest, type KnownContents } from './identity/file-digests.ts';
export {
  configurationDigest,
  differingFields,
  taskHash,
  type TaskFacts,
  type TaskHash,
  type WorkspaceFacts,
} from './identity/task-hash.ts';
export { keyTasks, repeatKey, taskKey, type KeyedTask, type OwnFields, type PlacedTask, type TaskPlace } from './identity/task-key.ts';
export { createJournal, openJournal, type JournalOptions } from './journal/sqlite-journal.ts';
export type * from './journal/events.ts';
