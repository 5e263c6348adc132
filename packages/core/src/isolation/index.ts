export { readAuthFile } from './auth-file.ts';
export { handedOver, serverEnvironment } from './environment.ts';
export { explainFullDisk } from './full-disk.ts';
export { holderOf, lockLife, lockStateDirectory, type StateLock } from './lock.ts';
export { deleteState } from './mark.ts';
export {
  abandonState,
  copyConfigDirectory,
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
  realWorkspace,
  withParents,
  type CheckOptions,
  type WorkspaceCheck,
  type Workspaces,
} from './workspace/index.ts';
