import { plainDefinition, poolMachine, serverMachine, sessionMachine, type PlainState } from '@opencode-manager/actors/machines';
import layouts from 'virtual:chart-layouts';
import type { ActorKind } from '../run/meaning.ts';
import { layoutInWorker } from './layout-in-worker.ts';
import type { ChartLayout } from './layout.ts';
import { chartModel, type ChartModel } from './model.ts';

/** A chart that can be drawn. */
export interface Chart {
  readonly model: ChartModel;
  readonly layout: ChartLayout;
}

/** The machines of a run, as plain JSON. */
export type Machines = Readonly<Record<ActorKind, PlainState>>;

/** What is drawn of a run. */
export interface Charts extends Readonly<Record<ActorKind, Chart>> {
  /** The run was recorded with other machines than this page's. */
  readonly foreign: boolean;
}

/** The machines that this page runs. */
export const machines: Machines = {
  session: plainDefinition(sessionMachine),
  pool: plainDefinition(poolMachine),
  server: plainDefinition(serverMachine),
};

/** Their charts, laid out when the page was built. */
export const charts: Charts = {
  session: { model: chartModel(machines.session), layout: layouts[sessionMachine.id]! },
  pool: { model: chartModel(machines.pool), layout: layouts[poolMachine.id]! },
  server: { model: chartModel(machines.server), layout: layouts[serverMachine.id]! },
  foreign: false,
};

/** The charts of a recorded run: the shipped ones, unless it was recorded with other machines. */
export async function chartsOf(recorded: Partial<Machines> | undefined): Promise<Charts> {
  if (recorded === undefined || JSON.stringify(recorded) === JSON.stringify(machines)) return charts;
  const drawn = async (machine: PlainState) => {
    const model = chartModel(machine);
    return { model, layout: await layoutInWorker(model) };
  };
  const { session, pool, server } = { ...machines, ...recorded };
  return { session: await drawn(session), pool: await drawn(pool), server: await drawn(server), foreign: true };
}
