import { exitCodes } from './exit-codes.ts';
import { listenForStop } from './signals.ts';
import { describeLoss, isClosed, isSameFile, statsOf, type Terminal } from './terminal/index.ts';

/** A reader that takes nothing for so long has stopped reading, though it holds the pipe open. */
const patientMs = 5 * 60_000;

/** After SIGTERM somebody wants this process gone; and what is said beside the results is not worth a long wait. */
const hastyMs = 5000;

/**
 * Waits until all that was printed has left, for as long as somebody reads on; a signal ends the wait. Gives the exit code: a loss
 * makes a failure of a success.
 */
export async function settle(terminal: Terminal, exitCode: number): Promise<number> {
  const { stdout, stderr, streams } = terminal;
  // A client that was told to end says nothing more.
  if (exitCode === exitCodes.interrupted) terminal.clearEcho();
  using signals = listenForStop();
  const signal = signals.drain;
  const idleMs = exitCode === exitCodes.terminated ? hastyMs : patientMs;
  const loss = await stdout.flush({ idleMs, signal });
  if (loss && !isClosed(loss)) terminal.notice(`error OUTPUT_LOST: ${describeLoss('standard output', loss, idleMs)}`);
  const isOnePipe = isSameFile(statsOf(streams.stdout), statsOf(streams.stderr));
  await stderr.flush({ idleMs: isOnePipe && !loss ? idleMs : hastyMs, signal });
  if (!loss) return exitCode;
  if (signals.exitCode !== undefined) return signals.exitCode;
  if (isClosed(loss)) return exitCodes.terminated;
  return exitCode === exitCodes.ok ? exitCodes.failed : exitCode;
}
