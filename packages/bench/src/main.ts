import { benchmarks } from './benchmarks.ts';
import { runCommand } from './harness/command.ts';

process.exitCode = await runCommand(process.argv.slice(2), benchmarks);
