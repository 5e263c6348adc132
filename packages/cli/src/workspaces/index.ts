export { openRunWorkspaces, type KeptWorkspace, type RunWorkspaces } from './run-workspaces.ts';
export { planWorkspaces, type WorkspaceFlags, type WorkspacePlan } from './plan.ts';
