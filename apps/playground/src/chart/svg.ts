import { anyStateId, anyStateText, cardRows, lettering, rowPlaces, type Point } from './layout.ts';
import type { ChartEdge, ChartModel } from './model.ts';
import type { Chart } from './shipped.ts';

const corner = 6;

/** A line along the points, its corners rounded. */
export function roundedPath(points: readonly Point[]): string {
  const [first, ...rest] = points;
  if (!first) return '';
  const parts = rest.map((point, index) => {
    const after = rest[index + 1];
    return after ? turn(points[index]!, point, after) : `L${point.x} ${point.y}`;
  });
  return [`M${first.x} ${first.y}`, ...parts].join('');
}

function turn(from: Point, at: Point, to: Point): string {
  const enter = towards(at, from);
  const leave = towards(at, to);
  return `L${enter.x} ${enter.y}Q${at.x} ${at.y} ${leave.x} ${leave.y}`;
}

function towards(from: Point, to: Point): Point {
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  const part = length === 0 ? 0 : Math.min(corner, length / 2) / length;
  return { x: round(from.x + (to.x - from.x) * part), y: round(from.y + (to.y - from.y) * part) };
}

const round = (value: number): number => Math.round(value * 10) / 10;

/** How often any transition of an arrow was taken. */
export function edgeCount(edge: ChartEdge, counts: ReadonlyMap<string, number>): number {
  return edge.transitions.reduce((sum, { id }) => sum + (counts.get(id) ?? 0), 0);
}

/** The chart as a file of its own, with the coverage of the run when there is any. */
export function chartToSvg({ model, layout }: Chart, counts: ReadonlyMap<string, number>): string {
  const { width, height } = layout;
  const style = 'text{font-family:ui-monospace,Menlo,Consolas,monospace;fill:#1f2937}.t{font-family:system-ui,sans-serif;font-weight:600}';
  const arrow =
    '<marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#475569"/></marker>';
  const body = [
    ...model.nodes.map((node) => cardSvg(model, layout, node, counts)),
    ...model.edges.map((edge) => edgeSvg(layout, edge, counts)),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}"><style>${style}</style><defs>${arrow}</defs><rect width="100%" height="100%" fill="#fff"/>${body.join('')}</svg>\n`;
}

function cardSvg(
  model: ChartModel,
  { nodes }: Chart['layout'],
  node: ChartModel['nodes'][number],
  counts: ReadonlyMap<string, number>,
): string {
  const box = nodes[node.id];
  if (!box) return '';
  const places = rowPlaces(model, node);
  const rows = cardRows(model, node).map(({ text, transitions }, index) => {
    const count = transitions.reduce((sum, { id }) => sum + (counts.get(id) ?? 0), 0);
    const place = places[index]!;
    const [x, y] = [box.x + place.x, box.y + place.y];
    const mark = count > 0 ? `<text x="${x + place.width - 8}" y="${y}" font-size="9" text-anchor="end">${count}</text>` : '';
    return `<text x="${x + 10}" y="${y}" font-size="${lettering.row}">${escape(text)}</text>${mark}`;
  });
  const any = nodes[anyStateId(node.id)];
  const note = any ? `<text x="${any.x + 8}" y="${any.y + 13}" font-size="${lettering.row}">${anyStateText}</text>` : '';
  const shape = `<rect x="${box.x}" y="${box.y}" width="${box.width}" height="${box.height}" rx="8" fill="${node.depth % 2 === 0 ? '#fff' : '#f1f5f9'}" stroke="#94a3b8"/>`;
  return `${shape}<text class="t" x="${box.x + 10}" y="${box.y + 19}" font-size="13">${escape(node.key)}</text>${rows.join('')}${note}`;
}

function edgeSvg({ edges }: Chart['layout'], edge: ChartEdge, counts: ReadonlyMap<string, number>): string {
  const width = edgeCount(edge, counts) > 0 ? 2.5 : 1.2;
  return `<path d="${roundedPath(edges[edge.id] ?? [])}" fill="none" stroke="#475569" stroke-width="${width}" marker-end="url(#arrow)"/>`;
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
