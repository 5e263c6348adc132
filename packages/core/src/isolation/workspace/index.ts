export { gitEnvironment } from './git-environment.ts';
export { createWorkspaces, type CheckOptions, type WorkspaceCheck, type Workspaces } from './workspaces.ts';
