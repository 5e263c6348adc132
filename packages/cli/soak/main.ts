// A durable run on a real server whose manager is killed again and again; see docs/recovery.md.
//
//   pnpm --filter @opencode-manager/cli soak [--tasks N] [--kills K] [--seed S] [--weather kill,server-kill] ...
//
// Exit code 0 when every check held, 1 when one did not, 2 for a bad option. The same seed gives the same tasks and the same plan of kills.
import { checkGit } from './checks/git.ts';
import { checkJournal } from './checks/journal.ts';
import { checkClean, checkLeftovers } from './checks/leftovers.ts';
import { checkModel } from './checks/model.ts';
import { checkOutputs } from './checks/outputs.ts';
import { factsOf } from './facts.ts';
import { live } from './lives.ts';
import { parseOptions, replayCommand, usage, type SoakOptions } from './options.ts';
import { openPlace } from './place.ts';
import { plannedTasks } from './plan.ts';
import { figures } from './report.ts';
import { withOwnMounts } from './sandbox.ts';

const options = optionsOrExit(process.argv.slice(2));
process.exitCode = (options.weather.includes('full-disk') ? await withOwnMounts() : undefined) ?? (await soak());

async function soak(): Promise<number> {
  console.log(`soak of durable runs, seed ${options.seed} (${replayCommand(options)})`);
  const tasks = plannedTasks(options);
  await using place = await openPlace(options, tasks);
  const lived = await live(options, place, tasks);
  // First: what looks at the run afterwards is not to be taken for something that was left.
  const left = await checkLeftovers(place, lived);
  const facts = factsOf(options, place, tasks, lived);
  const problems = [
    ...lived.problems,
    ...left,
    ...checkJournal(facts),
    ...checkModel(facts),
    ...(await checkOutputs(facts)),
    ...(await checkGit(facts)),
  ];
  if (!options.keep && place.disk === undefined) problems.push(...(await checkClean(place)));
  for (const line of figures(facts)) console.log(line);
  for (const problem of problems) console.log(`PROBLEM ${problem}`);
  console.log(problems.length === 0 ? 'All checks held.' : `${problems.length} checks did not hold.`);
  return problems.length === 0 ? 0 : 1;
}

function optionsOrExit(args: readonly string[]): SoakOptions {
  try {
    return parseOptions(args);
  } catch (error) {
    console.error(`${(error as Error).message}\nUsage: ${usage}`);
    return process.exit(2);
  }
}
