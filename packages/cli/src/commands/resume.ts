import { carryOut, resumedRequest, withReporters } from '../batch/index.ts';
import { runToResume } from '../batch/find-run.ts';
import { startDetached } from '../detached/start.ts';
import type { ExitCode } from '../exit-codes.ts';
import type { ResumeFlags } from '../flags.ts';
import type { Terminal } from '../terminal/index.ts';

/** `ocm resume`: goes on with a run whose manager has ended, with the flags that it was started with and those that are given now. */
export async function resume(terminal: Terminal, name: string | undefined, given: ResumeFlags): Promise<ExitCode> {
  const flags = withReporters(given);
  if (flags.detach) return startDetached(terminal, flags.json === true);
  const { path, run } = await runToResume(
    name,
    flags.directory ?? process.cwd(),
    flags.retryErrors !== undefined || flags.redo !== undefined,
  );
  const { explain, ...rest } = flags;
  return carryOut(terminal, resumedRequest(path, run, { ...rest, ...(explain && { dryRun: true }) }));
}
