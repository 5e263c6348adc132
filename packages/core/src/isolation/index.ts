export { readAuthFile } from './auth-file.ts';
export { secretsOf, serverEnvironment } from './environment.ts';
export { lockStateDirectory, type StateLock } from './lock.ts';
export {
  copyConfigDirectory,
  prepareStateDirectory,
  usersOwnDirectories,
  writeServerFiles,
  type StateDirectory,
} from './state-directory.ts';
export { refuseUntrustedWorkspace, repositoryRoot, workspaceInstructions } from './workspace.ts';
