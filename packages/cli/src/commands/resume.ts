import { carryOut, resumedRequest } from '../batch/index.ts';
import { unfinishedRun } from '../batch/find-run.ts';
import type { ExitCode } from '../exit-codes.ts';
import type { ResumeFlags } from '../program/batch-commands.ts';
import type { Terminal } from '../terminal/index.ts';

/** `ocm resume`: goes on with a run whose manager has ended, with the flags that it was started with and those that are given now. */
export async function resume(terminal: Terminal, name: string | undefined, flags: ResumeFlags): Promise<ExitCode> {
  const { path, run } = await unfinishedRun(name, flags.directory ?? process.cwd());
  const { explain, ...rest } = flags;
  return carryOut(terminal, resumedRequest(path, run, { ...rest, ...(explain && { dryRun: true }) }));
}
