import type { ChartModel, ChartNode } from './model.ts';

/** The chart as a Mermaid state diagram. */
export function chartToMermaid(model: ChartModel): string {
  const [root] = model.nodes;
  const lines = ['stateDiagram-v2', ...childLines(model, root!, '  ')];
  for (const { source, target, label, guard } of model.transitions) {
    if (target === undefined || source === root!.id) continue;
    // A colon would end the label.
    const text = [label, guard && `[${guard}]`].filter(Boolean).join(' ').replaceAll(':', ' =');
    lines.push(`  ${name(source)} --> ${name(target)} : ${text}`);
  }
  for (const { id, type } of model.nodes) if (type === 'final') lines.push(`  ${name(id)} --> [*]`);
  return `${lines.join('\n')}\n`;
}

function childLines(model: ChartModel, parent: ChartNode, indent: string): string[] {
  return model.nodes
    .filter((node) => node.parent === parent.id)
    .flatMap((node) => {
      const inner = childLines(model, node, `${indent}  `);
      const head = `${indent}state "${node.key}" as ${name(node.id)}`;
      const declared = inner.length > 0 ? [`${head} {`, inner, `${indent}}`].flat() : [head];
      return node.initial ? [`${indent}[*] --> ${name(node.id)}`, declared].flat() : declared;
    });
}

const name = (id: string): string => id.replaceAll('.', '_');
