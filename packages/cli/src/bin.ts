// The command `ocm`: what `bin/ocm.js` starts.
import { version } from './version.ts';

// Nobody reads on (as in `ocm run ... --json | head -1`): stop in order, as after SIGTERM, instead of dying of EPIPE.
process.stdout.on('error', () => process.kill(process.pid, 'SIGTERM'));
// What is only said beside the results must not end the work.
process.stderr.on('error', () => undefined);

// All that was printed has left by then, or its loss was told.
process.exit(await run(process.argv.slice(2)));

/**
 * The version is told without the tree of commands, whose modules take most of the time of a start; help and a look at runs without what keeps
 * the memory of a manager small, which takes the other 6 ms.
 */
async function run(args: readonly string[]): Promise<number> {
  if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) return printVersion();
  if (!asksForHelp(args) && !looksAtRuns(args)) await import('@opencode-manager/core/small-memory');
  const { main } = await import('./main.ts');
  return main(args, process);
}

/** A guess: a task whose text is `-h` costs memory, no more. */
function asksForHelp(args: readonly string[]): boolean {
  return args.length === 0 || args[0] === 'help' || args.includes('--help') || args.includes('-h');
}

/** Commands that read some small files, and are asked again and again. */
function looksAtRuns([command]: readonly string[]): boolean {
  return command === 'status' || command === 'runs' || command === 'complete';
}

function printVersion(): number {
  process.stdout.write(`${version()}\n`);
  return 0;
}
