import { plainDefinition, poolMachine, serverMachine, sessionMachine } from '@opencode-manager/actors/machines';
import ELK from 'elkjs/lib/elk.bundled.js';
import { defineConfig, type Plugin } from 'vite';
import type { AnyStateMachine } from 'xstate';
import { layoutChart } from './src/chart/layout.ts';
import { chartModel } from './src/chart/model.ts';

const layoutsId = 'virtual:chart-layouts';

/** Lays the shipped machines out while the page is built, so that their charts show at once. */
function chartLayouts(): Plugin {
  return {
    name: 'chart-layouts',
    resolveId: (id) => (id === layoutsId ? `\0${layoutsId}` : undefined),
    async load(id) {
      if (id !== `\0${layoutsId}`) return undefined;
      const machines: readonly AnyStateMachine[] = [sessionMachine, poolMachine, serverMachine];
      const elk = new ELK();
      const layouts: Record<string, unknown> = {};
      for (const machine of machines) layouts[machine.id] = await layoutChart(elk, chartModel(plainDefinition(machine)));
      return `export default ${JSON.stringify(layouts)}`;
    },
  };
}

/** The simulation runs hosts that were written for Node. What needs Node of it must not come along: it would be empty here. */
function withoutNode(): Plugin {
  return {
    name: 'without-node',
    generateBundle(_options, bundle) {
      for (const chunk of Object.values(bundle)) {
        const found = chunk.type === 'chunk' && Object.keys(chunk.modules).find((id) => /__vite-browser-external|^node:/.test(id));
        if (found) this.error(`The page would need Node: ${found} is part of ${chunk.fileName}.`);
      }
    },
  };
}

export default defineConfig({
  base: './',
  resolve: { conditions: ['@opencode-manager/source', 'module', 'browser', 'production'] },
  plugins: [chartLayouts(), withoutNode()],
  worker: { format: 'es' },
  // Everything comes from files of the page's own origin: its content security policy allows nothing else.
  build: { target: 'es2024', assetsInlineLimit: 0, chunkSizeWarningLimit: 2000, reportCompressedSize: false },
});
