// A program with a run: it opens one, or takes one up, and prints what it hears.
import { openRun, resumeRun, type ResumeOptions, type RunOptions } from '../../src/index.ts';

const [, , text = '{}'] = process.argv;
const options = JSON.parse(text) as RunOptions & Partial<ResumeOptions>;
const run = options.run === undefined ? await openRun(options) : await resumeRun({ ...options, run: options.run });
const print = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);
print({ path: run.path, plan: run.plan });
for await (const { key, outcome, attempt, reused } of run.results()) print({ key, outcome, attempt, reused });
print({ ended: await run.ended });
