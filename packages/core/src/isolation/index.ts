export { apiKeysIn, readAuthFile } from './auth-file.ts';
export { copyConfigDirectory } from './config-directory.ts';
export { handedOver, serverEnvironment, toolPath } from './environment.ts';
export { networkVariables, type NetworkVariables } from './network-variables.ts';
export { describeNeed, neededPackages, refuseOffline, wasInstalled, type NeededPackage } from './packages/index.ts';
export { keepToolVariables } from './tool-variables.ts';
export { writeServerFiles } from './server-files.ts';
export { instructionsDirectory, instructionsFile } from './instructions-files.ts';
export { explainFullDisk } from './full-disk.ts';
export { holderOf, lockLife, lockStateDirectory, type StateLock } from './lock.ts';
export { deleteState, reduceToDatabase } from './mark.ts';
export { abandonState, makeDirectories, prepareStateDirectory, usersOwnDirectories, type StateDirectory } from './state-directory.ts';
export { readGitValues, toolEnvironment, trustedDirectories, userGitFiles, withToolEnvironment, type GitValues } from './tools/index.ts';
export {
  createWorkspaces,
  gitEnvironment,
  readWorkspaceFile,
  realWorkspace,
  withParents,
  type CheckOptions,
  type UnusedConfiguration,
  type WorkspaceCheck,
  type Workspaces,
} from './workspace/index.ts';
