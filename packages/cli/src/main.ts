import { CommanderError } from 'commander';
import { detachedStreams, detachedVariable } from './detached/streams.ts';
import { exitCodes } from './exit-codes.ts';
import type { RunFlags } from './flags.ts';
import { createProgram } from './program.ts';
import { settle } from './settle.ts';
import { createTerminal, type Terminal, type TerminalStreams } from './terminal/index.ts';

/**
 * Runs one command line and gives its exit code; never throws.
 *
 * @example
 * process.exitCode = await main(['run', 'tasks.jsonl', '--json'], process)
 * @public
 */
export async function main(args: readonly string[], streams: TerminalStreams): Promise<number> {
  const terminal = createTerminal(streams.env[detachedVariable] === '1' ? detachedStreams(streams) : streams);
  return settle(terminal, await runLine(args, terminal));
}

async function runLine(args: readonly string[], terminal: Terminal): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const program = createProgram(terminal, (code) => (exitCode = code));
  let json = false;
  program.hook('preAction', (_program, command) => {
    const { json: isJson, reporter }: Pick<RunFlags, 'json' | 'reporter'> = command.opts();
    json = isJson === true || reporter?.includes('json') === true;
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    // Loaded late: a command line that is understood does not pay for it.
    const { reportError } = await import('./report-error.ts');
    return reportError(terminal, error, { json });
  }
}
