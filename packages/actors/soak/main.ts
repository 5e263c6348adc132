// Many tasks on a real server while faults strike at random times from a seed; see docs/recovery.md.
//
//   pnpm soak [--tasks N] [--concurrency C] [--seed S] [--duration 90s|10m|2h]
//
// Exit code 0 when every check held, 1 when one did not, 2 for a bad option. The same seed gives the same tasks and faults.
import { parseOptions, replayCommand, usage, type SoakOptions } from './options.ts';
import { printed } from './report.ts';
import { soak } from './run.ts';
import { enterSandbox } from './sandbox.ts';

const options = optionsOrExit(process.argv.slice(2));
console.log(`soak, seed ${options.seed} (${replayCommand(options)})`);
const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort());
await using sandbox = await enterSandbox();
const report = await soak(options, sandbox, interrupted.signal);
console.log(printed(report, options));
process.exitCode = report.problems.length === 0 ? 0 : 1;

function optionsOrExit(args: readonly string[]): SoakOptions {
  try {
    return parseOptions(args);
  } catch (error) {
    console.error(`${(error as Error).message}\nUsage: ${usage}`);
    return process.exit(2);
  }
}
