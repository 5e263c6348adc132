import type { SessionPool } from '@opencode-manager/actors';
import { scenarios } from '../../src/simulation/scenarios.ts';
import { SimulatedRun } from '../../src/simulation/simulated-run.ts';
import type { RunRecord } from '../../src/trace/format.ts';

export interface Played {
  readonly run: SimulatedRun;
  readonly pool: SessionPool;
  readonly records: readonly RunRecord[];
}

/** A scenario without a page: so much simulated time of it, in milliseconds. */
export async function play(id: string, ms: number): Promise<Played> {
  const records: RunRecord[] = [];
  const scenario = scenarios.find((one) => one.id === id)!;
  const run = new SimulatedRun({
    scenario,
    onRecord: (record) => records.push(record),
    drain: () => new Promise((resolve) => setImmediate(resolve)),
  });
  await run.open();
  await run.pass(ms);
  return { run, pool: run.pool!, records };
}
