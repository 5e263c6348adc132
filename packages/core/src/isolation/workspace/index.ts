export { gitEnvironment } from './git-environment.ts';
export { withParents } from './git-root.ts';
export { readWorkspaceFile } from './read-file.ts';
export { type UnusedConfiguration } from './unused.ts';
export { createWorkspaces, realWorkspace, type CheckOptions, type WorkspaceCheck, type Workspaces } from './workspaces.ts';
