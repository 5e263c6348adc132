import { runOfFile } from '../batch/find-run.ts';
import { carryOut, newRequest, resumedRequest, withReporters } from '../batch/index.ts';
import { refuseDetachedWithoutDirectory, startDetached } from '../detached/start.ts';
import type { ExitCode } from '../exit-codes.ts';
import type { RunFlags } from '../flags.ts';
import { submitRun } from '../served-runs/index.ts';
import type { Terminal } from '../terminal/index.ts';

/** `ocm run`: carries a file of tasks, or prompts, to their end. */
export async function run(terminal: Terminal, file: string | undefined, given: RunFlags): Promise<ExitCode> {
  const flags = withReporters(given);
  if (flags.on !== undefined) return submitRun(terminal, file, flags);
  // What would run is the same there.
  if ((flags.queue !== undefined || flags.run !== undefined) && !flags.dryRun) {
    // Its drivers are loaded by those who want a queue alone.
    const { runOnQueue } = await import('../queue/follow.ts');
    return runOnQueue(terminal, file, flags);
  }
  if (flags.detach) {
    refuseDetachedWithoutDirectory(file, flags);
    return startDetached(terminal, flags.json === true);
  }
  const request = newRequest(file, flags);
  if (!flags.resume) return carryOut(terminal, request);
  const { path, run: before } = await runOfFile(request, flags.directory ?? process.cwd());
  const { resume: _resume, prompt: _prompt, runDir: _runDir, append: _append, overwrite: _overwrite, ...rest } = flags;
  return carryOut(terminal, resumedRequest(path, before, rest));
}
