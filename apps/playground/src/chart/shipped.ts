import { poolMachine, sessionMachine } from '@opencode-manager/actors/machines';
import layouts from 'virtual:chart-layouts';
import { plainDefinition, type PlainState } from './definition.ts';
import { layoutInWorker } from './layout-in-worker.ts';
import type { ChartLayout } from './layout.ts';
import { chartModel, type ChartModel } from './model.ts';

/** A chart that can be drawn. */
export interface Chart {
  readonly model: ChartModel;
  readonly layout: ChartLayout;
}

/** The machines of a run, as plain JSON. */
export interface Machines {
  readonly session: PlainState;
  readonly pool: PlainState;
}

/** What is drawn of a run. */
export interface Charts {
  readonly session: Chart;
  readonly pool: Chart;
  /** The run was recorded with other machines than this page's. */
  readonly foreign: boolean;
}

/** The machines that this page runs. */
export const machines: Machines = { session: plainDefinition(sessionMachine), pool: plainDefinition(poolMachine) };

/** Their charts, laid out when the page was built. */
export const charts: Charts = {
  session: { model: chartModel(machines.session), layout: layouts[sessionMachine.id]! },
  pool: { model: chartModel(machines.pool), layout: layouts[poolMachine.id]! },
  foreign: false,
};

/** The charts of a recorded run: the shipped ones, unless it was recorded with other machines. */
export async function chartsOf(recorded: Machines | undefined): Promise<Charts> {
  if (recorded === undefined || JSON.stringify(recorded) === JSON.stringify(machines)) return charts;
  const [session, pool] = [chartModel(recorded.session), chartModel(recorded.pool)];
  return {
    session: { model: session, layout: await layoutInWorker(session) },
    pool: { model: pool, layout: await layoutInWorker(pool) },
    foreign: true,
  };
}
