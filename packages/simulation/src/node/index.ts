export { runCrowd, seedsFrom, type BatchReport, type CrowdOptions } from './crowd.ts';
export { allMutants, applyMutant, drawMutants, type Mutant } from './mutants.ts';
export { runInNode, type NodeOptions } from './run-in-node.ts';
export { trapRealTime } from './trap.ts';
export { runRunInNode } from './run-runs-in-node.ts';
