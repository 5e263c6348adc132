import type { ResolvedConfig } from '../config/index.ts';
import type { GitValues, NeededPackage, Workspaces } from '../isolation/index.ts';
import type { EffectiveConfig } from '../protocol/index.ts';
import type { BinaryInfo } from './binary.ts';

/** What each incarnation of a run's server is started from. */
export interface LaunchPlan {
  readonly config: ResolvedConfig;
  readonly binary: BinaryInfo;
  readonly auth: string | undefined;
  readonly git: GitValues;
  /** What is trusted in each workspace outlives an incarnation. */
  readonly workspaces: Workspaces;
}

/** What the files of a run say. */
export interface PreparedFiles extends EffectiveConfig {
  readonly needed: readonly NeededPackage[];
}
