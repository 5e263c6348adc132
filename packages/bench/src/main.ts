import { benchmarks } from './benchmarks.ts';
import { runCommand } from './harness/command.ts';

// An exit in order: what a run has started ends with it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

process.exitCode = await runCommand(process.argv.slice(2), benchmarks);
