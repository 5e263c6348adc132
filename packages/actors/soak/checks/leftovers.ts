import { findMarkedProcesses } from '@opencode-manager/core';
import { growthSince, type Resources } from '../resources.ts';
import type { Sandbox } from '../sandbox.ts';

/** What was there before the run. */
export interface Before {
  readonly resources: Resources;
  readonly listing: readonly string[];
}

/** After everything was stopped: no process of the run, no file outside of what is gone, nothing held by this process. */
export async function checkLeftovers(before: Before, sandbox: Sandbox, runId: string): Promise<string[]> {
  const processes = await findMarkedProcesses(runId);
  const grown = await growthSince(before.resources);
  const after = await sandbox.listing();
  return [
    ...processes.map(({ pid, command }) => `process ${pid} is left: ${command}`),
    ...after.filter((entry) => !before.listing.includes(entry)).map((entry) => `left or changed: ${entry.slice(0, 300)}`),
    ...before.listing.filter((entry) => !after.includes(entry)).map((entry) => `gone or changed: ${entry.slice(0, 300)}`),
    ...grown.map((what) => `grown: ${what}`),
  ];
}
