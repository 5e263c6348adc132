export { readAuthFile } from './auth-file.ts';
export { copyConfigDirectory } from './config-directory.ts';
export { handedOver, serverEnvironment } from './environment.ts';
export { explainFullDisk } from './full-disk.ts';
export { holderOf, lockLife, lockStateDirectory, type StateLock } from './lock.ts';
export { deleteState } from './mark.ts';
export {
  abandonState,
  makeDirectories,
  prepareStateDirectory,
  usersOwnDirectories,
  writeServerFiles,
  type StateDirectory,
} from './state-directory.ts';
export {
  createWorkspaces,
  gitEnvironment,
  readWorkspaceFile,
  withParents,
  type CheckOptions,
  type UnusedConfiguration,
  type WorkspaceCheck,
  type Workspaces,
} from './workspace/index.ts';
