#!/usr/bin/env node
import { keepMemorySmall } from './memory.ts';
import { version } from './version.ts';

keepMemorySmall();

// Nobody reads on (as in `ocm run ... --json | head -1`): stop in order, as after SIGTERM, instead of dying of EPIPE.
process.stdout.on('error', () => process.kill(process.pid, 'SIGTERM'));
// What is only said beside the results must not end the work.
process.stderr.on('error', () => undefined);

// Pipes and files are written synchronously on Linux and macOS, so nothing of the output is lost here.
process.exit(await run(process.argv.slice(2)));

/** The version is told without the tree of commands, whose modules take most of the time of a start. */
async function run(args: readonly string[]): Promise<number> {
  const { main } = args.length === 1 && (args[0] === '--version' || args[0] === '-V') ? { main: printVersion } : await import('./main.ts');
  return main(args, process);
}

async function printVersion(): Promise<number> {
  process.stdout.write(`${version()}\n`);
  return 0;
}
