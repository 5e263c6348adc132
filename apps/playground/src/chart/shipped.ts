import { poolMachine, sessionMachine } from '@opencode-manager/actors/machines';
import layouts from 'virtual:chart-layouts';
import { plainDefinition } from './definition.ts';
import type { ChartLayout } from './layout.ts';
import { chartModel, type ChartModel } from './model.ts';

/** A chart that can be drawn. */
export interface Chart {
  readonly model: ChartModel;
  readonly layout: ChartLayout;
}

/** The charts of the machines that this page runs. */
export const charts: { readonly session: Chart; readonly pool: Chart } = {
  session: { model: chartModel(plainDefinition(sessionMachine)), layout: layouts[sessionMachine.id]! },
  pool: { model: chartModel(plainDefinition(poolMachine)), layout: layouts[poolMachine.id]! },
};
