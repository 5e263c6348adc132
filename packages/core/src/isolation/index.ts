export { readAuthFile } from './auth-file.ts';
export { providerKeyVariables, secretsOf, serverEnvironment, type EnvironmentInput } from './environment.ts';
export { lockStateDirectory, type StateLock } from './lock.ts';
export {
  copyConfigDirectory,
  prepareStateDirectory,
  usersOwnDirectories,
  writeServerFiles,
  type StateDirectory,
  type StateLayout,
} from './state-directory.ts';
export { refuseUntrustedWorkspace, repositoryRoot, workspaceInstructions } from './workspace.ts';
