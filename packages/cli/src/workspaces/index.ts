export { placeSettings } from './flags.ts';
export { runWorkspaces, type KeptWorkspace, type RunWorkspaces } from './run-workspaces.ts';
export { leftWorkspaces } from './left-workspaces.ts';
export { planWorkspaces, sharedDirectory, type WorkspacePlan } from './plan.ts';
