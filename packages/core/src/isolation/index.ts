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
export { shareLooks } from './shared-looks.ts';
export { refuseUntrustedWorkspace, repositoryRoot, workspaceInstructions } from './workspace.ts';
