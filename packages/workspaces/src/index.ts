export { removeTree } from './keep/remove.ts';
export { newRunId } from './keep/root.ts';
export { outermostTop } from './outermost.ts';
export { openWorkspaces } from './workspaces.ts';
export { pinCommit, repositoryFacts, resolveCommit, takenResult, type RepositoryFacts, type TakenOf } from './repository-facts.ts';
export {
  bytesIn,
  cleanRun,
  cleanRuns,
  findFinishedRuns,
  isPartOf,
  type CleanedRun,
  type CleanOptions,
  type FinishedRun,
  type KeptWorkspace,
} from './clean.ts';
export { findLeftWorkspaces, recoverLeftWorkspaces, type LeftLease, type LeftRun, type RecoveredRun } from './recover.ts';
export type { RecoveredLease } from './keep/recover-lease.ts';
export type {
  AcquireOptions,
  AgentCommit,
  Capture,
  FileChange,
  LeftBehind,
  Release,
  ReleaseOptions,
  SetupCommand,
  SubmoduleResult,
  TreeResult,
  Workspace,
  WorkspaceCommand,
  WorkspaceLimits,
  WorkspaceMode,
  WorkspaceNote,
  Workspaces,
  WorkspacesOptions,
} from './types.ts';
