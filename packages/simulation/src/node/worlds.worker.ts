import { parentPort } from 'node:worker_threads';
import { kindOf } from '../oracle/judge.ts';
import { drawPlan } from '../plan/draw.ts';
import { drawRunPlan, drawSmallRun } from '../runs/draw.ts';
import { runKindOf } from '../runs/oracle.ts';
import { tryPositions } from '../runs/positions.ts';
import { emptyReport, type Batch, type BatchReport } from './crowd.ts';
import { allMutants, applyMutant } from './mutants.ts';
import { runInNode } from './run-in-node.ts';
import { allRunMutants } from './run-mutants.ts';
import { runRunInNode } from './run-runs-in-node.ts';
import { noteVisits } from './visits.ts';

const port = parentPort!;

/** Counted before any is put in place: that changes the order of what it is taken from. */
const mutants = allMutants();
const runMutants = allRunMutants();

/** Every so many worlds one is run twice: the same seed gives the same history. */
const twiceEvery = 20;

/** What came of one seed. */
interface Tried {
  readonly kinds: Iterable<string>;
  readonly faults: Iterable<string>;
  /** Absent where a seed stands for many worlds. */
  readonly digest?: string;
}

type Try = (seed: number, batch: Batch, visited: Set<string>) => Promise<Tried>;

const tries: Readonly<Record<NonNullable<Batch['worlds']>, Try>> = {
  async pool(seed, { visits, ...wanted }, visited) {
    const inspect = visits ? { inspect: (step: Parameters<typeof noteVisits>[1]) => noteVisits(visited, step) } : {};
    const { violations, faults, digest } = await runInNode(drawPlan(seed, wanted), inspect);
    return { kinds: violations.map(kindOf), faults: faults.keys(), digest };
  },
  async runs(seed, { mutant, ...wanted }) {
    const options = mutant === undefined ? {} : runMutants[mutant]!.options;
    const { violations, faults, digest } = await runRunInNode(drawRunPlan(seed, wanted), options);
    return { kinds: violations.map(runKindOf), faults: faults.keys(), digest };
  },
  async positions(seed, { everyStage = false, protocol }) {
    const { violations } = await tryPositions(drawSmallRun(seed, { protocol }), runRunInNode, { everyStage });
    return { kinds: violations.map(runKindOf), faults: [] };
  },
};

function mutate({ worlds = 'pool', mutant }: Batch): () => void {
  if (mutant === undefined) return () => undefined;
  return worlds === 'pool' ? applyMutant(mutants[mutant]!) : (runMutants[mutant]!.apply?.() ?? (() => undefined));
}

async function run(batch: Batch): Promise<BatchReport> {
  const report = emptyReport();
  const { seeds, worlds = 'pool', untilFailure, visits } = batch;
  const attempt = tries[worlds];
  const restore = mutate(batch);
  try {
    for (const seed of seeds) {
      const visited = new Set<string>();
      const { kinds, faults, digest } = await attempt(seed, batch, visited);
      if (visits) report.visited.push([seed, visited]);
      report.worlds += 1;
      for (const fault of faults) report.faults[fault] = (report.faults[fault] ?? 0) + 1;
      const again = digest !== undefined && seed % twiceEvery === 0 ? await attempt(seed, batch, new Set()) : undefined;
      if (again && again.digest !== digest) report.different.push(seed);
      const found = [...new Set(kinds)];
      if (found.length === 0) continue;
      report.failures.push({ seed, kinds: found });
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
