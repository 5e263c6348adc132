import ELK from 'elkjs/lib/elk-api.js';
import workerUrl from 'elkjs/lib/elk-worker.min.js?url';
import { layoutChart, type ChartLayout } from './layout.ts';
import type { ChartModel } from './model.ts';

/** Lays out a chart that was not shipped with the page, beside the thread that draws. */
export async function layoutInWorker(model: ChartModel): Promise<ChartLayout> {
  const elk = new ELK({ workerFactory: () => new Worker(workerUrl) });
  try {
    return await layoutChart(elk, model);
  } finally {
    elk.terminateWorker();
  }
}
