import { parentPort } from 'node:worker_threads';
import { kindOf } from '../oracle/judge.ts';
import { drawPlan } from '../plan/draw.ts';
import { emptyReport, type Batch, type BatchReport } from './crowd.ts';
import { allMutants, applyMutant } from './mutants.ts';
import { runInNode } from './run-in-node.ts';
import { noteVisits } from './visits.ts';

const port = parentPort!;

/** Counted before any is put in place: that changes the order of what it is taken from. */
const mutants = allMutants();

/** Every so many worlds one is run twice: the same seed gives the same history. */
const twiceEvery = 20;

async function run({ seeds, profile, mutant, untilFailure, visits }: Batch): Promise<BatchReport> {
  const report = emptyReport();
  const restore = mutant === undefined ? () => undefined : applyMutant(mutants[mutant]!);
  try {
    for (const seed of seeds) {
      const plan = drawPlan(seed, profile);
      const visited = new Set<string>();
      const world = await runInNode(plan, visits ? { inspect: (step) => noteVisits(visited, step) } : {});
      if (visits) report.visited.push([seed, visited]);
      report.worlds += 1;
      for (const fault of world.faults.keys()) report.faults[fault] = (report.faults[fault] ?? 0) + 1;
      if (seed % twiceEvery === 0 && (await runInNode(plan)).digest !== world.digest) report.different.push(seed);
      if (world.violations.length === 0) continue;
      report.failures.push({ seed, kinds: [...new Set(world.violations.map(kindOf))] });
      if (untilFailure) break;
    }
  } finally {
    restore();
  }
  return report;
}

port.on('message', (batch: Batch) => {
  run(batch).then(
    (report) => port.postMessage(report),
    (error: unknown) => port.postMessage({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
