import { plainDefinition, poolMachine, serverMachine, sessionMachine } from '@opencode-manager/actors/machines';
import ELK from 'elkjs/lib/elk.bundled.js';
import { describe, expect, it } from 'vitest';
import type { AnyStateMachine, AnyStateNode } from 'xstate';
import { cardRows, layoutChart } from '../src/chart/layout.ts';
import { chartToMermaid } from '../src/chart/mermaid.ts';
import { chartModel } from '../src/chart/model.ts';

const machines: readonly AnyStateMachine[] = [sessionMachine, poolMachine, serverMachine];

function nodesOf(node: AnyStateNode): AnyStateNode[] {
  return [node, ...Object.values(node.states).flatMap(nodesOf)];
}

describe.each(machines)('the chart of the $id machine', (machine) => {
  const model = chartModel(plainDefinition(machine));

  it('has every state and every transition of the machine, each once', () => {
    const nodes = nodesOf(machine.root);
    expect(model.nodes.map(({ id }) => id)).toEqual(nodes.map(({ id }) => id));
    const count = nodes.reduce((sum, node) => sum + [...node.transitions.values()].flat().length + (node.always?.length ?? 0), 0);
    expect(model.transitions.length).toBe(count);
    expect(new Set(model.transitions.map(({ id }) => id)).size).toBe(count);
    const drawn = model.nodes.flatMap((node) => cardRows(model, node).flatMap(({ transitions }) => transitions.map(({ id }) => id)));
    expect(drawn.toSorted()).toEqual(model.transitions.map(({ id }) => id).toSorted());
  });

  it('is laid out with a place for each state and a way for each arrow', async () => {
    const layout = await layoutChart(new ELK(), model);
    for (const { id, parent } of model.nodes) {
      const box = layout.nodes[id]!;
      const outer = parent === undefined ? { x: 0, y: 0, width: layout.width, height: layout.height } : layout.nodes[parent]!;
      expect(box.x).toBeGreaterThanOrEqual(outer.x);
      expect(box.y + box.height).toBeLessThanOrEqual(outer.y + outer.height);
    }
    expect(model.edges.filter(({ id }) => (layout.edges[id]?.length ?? 0) < 2)).toEqual([]);
  });

  it('can be written as Mermaid', () => {
    const text = chartToMermaid(model);
    for (const { id } of model.nodes.slice(1)) expect(text).toContain(` as ${id.replaceAll('.', '_')}`);
  });
});
