import type { ELK, ElkExtendedEdge, ElkNode } from 'elkjs/lib/elk-api.js';
import type { ChartEdge, ChartModel, ChartNode, ChartTransition } from './model.ts';

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Box extends Point {
  readonly width: number;
  readonly height: number;
}

/** Where everything of a chart stands, in one system of coordinates. */
export interface ChartLayout {
  readonly width: number;
  readonly height: number;
  readonly nodes: Readonly<Record<string, Box>>;
  readonly edges: Readonly<Record<string, readonly Point[]>>;
}

/** The chart's own lettering: layout and drawing count with the same widths. */
export const lettering = { row: 10.5, rowWidth: 6.35, rowHeight: 15, titleWidth: 8, titleHeight: 28 } as const;

const padding = 10;

/**
 * A row of a state's card: what is written there, and the transitions it stands for. A state lists its own transitions,
 * so that arrows need no lettering, and several that do the same share a row.
 */
export interface CardRow {
  readonly text: string;
  readonly transitions: readonly ChartTransition[];
}

/** Longer rows are cut: one long list of actions must not make a whole chart small. */
const longestText = 72;

/** The rows of a state: what runs on entry, what leads away, then what stays. */
export function cardRows(model: ChartModel, node: ChartNode): CardRow[] {
  return wholeRows(model, node).map(({ text, transitions }) => ({
    text: text.length > longestText ? `${text.slice(0, longestText - 1)}…` : text,
    transitions,
  }));
}

function wholeRows(model: ChartModel, node: ChartNode): CardRow[] {
  const own = model.transitions.filter(({ source }) => source === node.id);
  const leaving = own.filter(({ target }) => target !== undefined);
  const rows = leaving.map((one) => ({ text: `${what(one)} → ${shortName(model, one.target!)}`, transitions: [one] }));
  const entry = node.entry.length > 0 ? [{ text: `entry / ${node.entry.join(', ')}`, transitions: [] }] : [];
  return [...entry, ...rows, ...stayingRows(node)];
}

function what({ kind, label, guard }: ChartTransition): string {
  if (guard === undefined) return label;
  return kind === 'always' ? `[${guard}]` : `${label} [${guard}]`;
}

function shortName(model: ChartModel, id: string): string {
  return model.nodes.find((node) => node.id === id)?.key ?? id;
}

/** `turn.abort / decideAborted`; events with the same action share rows of bearable length. */
function stayingRows({ inner }: ChartNode): CardRow[] {
  const groups = Map.groupBy(inner, ({ actions, guard }) => `${guard === undefined ? '' : `[${guard}] `}/ ${actions.join(', ')}`);
  return [...groups].flatMap(([action, transitions]) => {
    const chunks = chunksOf(transitions, transitions.length > 3 ? 3 : 1);
    return chunks.map((chunk, index) => ({
      text: `${chunk.map(({ label }) => label).join(', ')} ${index === chunks.length - 1 ? action : ''}`.trim(),
      transitions: chunk,
    }));
  });
}

function chunksOf<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size));
}

/** Where each row of a card stands, from its corner: in columns where there is room, which is above other states. */
export function rowPlaces(model: ChartModel, node: ChartNode): readonly (Point & { readonly width: number })[] {
  const rows = cardRows(model, node);
  const columns = isCompound(model, node) ? Math.min(3, Math.ceil(rows.length / 3)) : 1;
  const inColumn = Math.ceil(rows.length / Math.max(1, columns));
  const width = longestRow(rows) + 2 * padding + 16;
  return rows.map((_, index) => ({
    x: Math.floor(index / inColumn) * width,
    y: lettering.titleHeight + 9 + (index % inColumn) * lettering.rowHeight,
    width,
  }));
}

/** Whether a state holds others. */
export const isCompound = (model: ChartModel, node: ChartNode): boolean => model.nodes.some(({ parent }) => parent === node.id);
const longestRow = (rows: readonly CardRow[]): number => Math.max(0, ...rows.map(({ text }) => text.length * lettering.rowWidth));

function sizeOf(model: ChartModel, node: ChartNode): { readonly width: number; readonly height: number } {
  const places = rowPlaces(model, node);
  const right = Math.max(0, ...places.map(({ x, width }) => x + width));
  const bottom = Math.max(0, ...places.map(({ y }) => y + 8));
  return { width: Math.max(150, node.key.length * lettering.titleWidth + 34, right), height: Math.max(62, bottom) };
}

/** Height of a compound state's own text, above its children. */
export function headerHeight(model: ChartModel, node: ChartNode): number {
  return sizeOf(model, node).height + 12;
}

/** The chart as the layout engine takes it. */
export function elkGraph(model: ChartModel): ElkNode {
  return {
    id: 'chart',
    children: [elkNode(model, model.nodes[0]!)],
    layoutOptions: {
      'elk.algorithm': 'layered',
      'elk.direction': 'DOWN',
      'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
      'elk.edgeRouting': 'ORTHOGONAL',
      'elk.json.edgeCoords': 'ROOT',
      'elk.json.shapeCoords': 'ROOT',
      'elk.layered.considerModelOrder.strategy': 'NODES_AND_EDGES',
      'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX',
      'elk.layered.mergeEdges': 'true',
      'elk.layered.mergeHierarchyEdges': 'true',
      'elk.layered.thoroughness': '60',
      ...spacing,
    },
    edges: model.edges.map(elkEdge),
  };
}

const spacing = {
  'elk.spacing.nodeNode': '22',
  'elk.spacing.edgeNode': '14',
  'elk.spacing.edgeEdge': '10',
  'elk.layered.spacing.nodeNodeBetweenLayers': '26',
  'elk.layered.spacing.edgeNodeBetweenLayers': '12',
  'elk.layered.spacing.edgeEdgeBetweenLayers': '8',
};

function elkNode(model: ChartModel, node: ChartNode): ElkNode {
  const children = model.nodes.filter(({ parent }) => parent === node.id);
  if (children.length === 0) return { id: node.id, ...sizeOf(model, node) };
  const top = headerHeight(model, node);
  return {
    id: node.id,
    children: [...anyState(model, node), ...children.map((child) => elkNode(model, child))],
    layoutOptions: {
      'elk.padding': `[top=${top},left=18,bottom=18,right=18]`,
      'elk.nodeSize.constraints': 'MINIMUM_SIZE',
      // The engine lays a chart out from left to right and turns it then; it does not turn this.
      'elk.nodeSize.minimum': `(0,${sizeOf(model, node).width})`,
      ...spacing,
    },
  };
}

/** Arrows that start at a state which holds their target are drawn from a small mark inside it: "any state". */
export const anyStateId = (stateId: string): string => `${stateId}:any`;

/** What the mark of a state says. */
export const anyStateText = 'any state';

function anyState(model: ChartModel, node: ChartNode): ElkNode[] {
  const used = model.edges.some((edge) => edge.source === node.id && holds(edge.source, edge.target));
  return used ? [{ id: anyStateId(node.id), width: anyStateText.length * lettering.rowWidth + 16, height: 18 }] : [];
}

const holds = (outer: string, inner: string): boolean => inner.startsWith(`${outer}.`);

function elkEdge(edge: ChartEdge): ElkExtendedEdge {
  return { id: edge.id, sources: [holds(edge.source, edge.target) ? anyStateId(edge.source) : edge.source], targets: [edge.target] };
}

/** Lays a chart out with the engine given: in a worker in the browser, in the process at build time. */
export async function layoutChart(elk: ELK, model: ChartModel): Promise<ChartLayout> {
  const graph = await elk.layout(elkGraph(model));
  const nodes: Record<string, Box> = {};
  collect(graph, nodes);
  const edges = Object.fromEntries((graph.edges ?? []).map((edge) => [edge.id, routeOf(edge)]));
  return { width: round(graph.width), height: round(graph.height), nodes, edges };
}

function collect(node: ElkNode, nodes: Record<string, Box>): void {
  nodes[node.id] = { x: round(node.x), y: round(node.y), width: round(node.width), height: round(node.height) };
  for (const child of node.children ?? []) collect(child, nodes);
}

function routeOf(edge: ElkExtendedEdge): readonly Point[] {
  const points = (edge.sections ?? []).flatMap(({ startPoint, bendPoints = [], endPoint }) =>
    [[startPoint], bendPoints, [endPoint]].flat(),
  );
  return points.map(({ x, y }) => ({ x: round(x), y: round(y) }));
}

const round = (value = 0): number => Math.round(value * 10) / 10;
