import { createPool } from '@opencode-manager/actors/hosts';
import * as host from '@opencode-manager/runs/hosts';
import type { RunPlan } from '../runs/plan.ts';
import { runRunWorld, type RunReport, type RunWorldOptions } from '../runs/run-world.ts';
import { inNode } from './run-in-node.ts';

/** Runs a plan of a run with the real hosts and machines of runs and of the pool. One at a time a thread. */
export function runRunInNode(plan: RunPlan, options: Partial<RunWorldOptions> = {}): Promise<RunReport> {
  return inNode((own) => runRunWorld(plan, { ...own, createPool, host, ...options }));
}
