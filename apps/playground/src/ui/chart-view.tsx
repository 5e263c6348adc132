import { memo, useMemo, useRef, useState } from 'react';
import { anyStateId, anyStateText, cardRows, lettering, rowPlaces, type CardRow, type ChartLayout } from '../chart/layout.ts';
import { selfAndAncestors, type ChartEdge, type ChartModel, type ChartNode } from '../chart/model.ts';
import type { Chart } from '../chart/shipped.ts';
import { edgeCount, roundedPath } from '../chart/svg.ts';
import type { ActorView } from '../run/view.ts';
import { tone } from './format.ts';
import { usePanZoom, type PanZoom } from './pan-zoom.ts';

/** Below this scale the rows of the cards cannot be read: names take their place. */
const readableScale = 0.6;

interface ChartViewProps {
  readonly chart: Chart;
  readonly actor: ActorView | undefined;
  /** Present with the coverage switched on. */
  readonly counts: ReadonlyMap<string, number> | undefined;
}

/** A machine as a chart: active states filled, transitions that may come marked, the one just taken animated. */
export function ChartView({ chart, actor, counts }: ChartViewProps) {
  const { model, layout } = chart;
  const svg = useRef<SVGSVGElement>(null);
  const { camera, fit, zoom, centre, handlers } = usePanZoom(svg, layout);
  const [focus, setFocus] = useState<string | null>(null);
  const { active, taken } = useHighlights(model, actor);
  const here = actor && layout.nodes[`${model.id}.${actor.path}`];
  const far = camera.scale < readableScale;
  return (
    <div className="chart" data-far={far}>
      <svg
        ref={svg}
        tabIndex={0}
        role="application"
        aria-roledescription="statechart"
        aria-label={`Statechart of the ${model.id} machine${actor ? `; ${actor.id} is in ${actor.path}` : ''}. Arrows move it, plus and minus zoom, 0 fits.`}
        data-testid="chart"
        {...handlers}
        onPointerLeave={handlers.onPointerUp}
      >
        <Arrowheads size={far ? 20 : 9} />
        <g transform={`translate(${camera.x} ${camera.y}) scale(${camera.scale})`}>
          {model.nodes.map((node) => (
            <Card
              key={node.id}
              model={model}
              layout={layout}
              node={node}
              active={active.has(node.id)}
              leaf={actor !== undefined && node.id === `${model.id}.${actor.path}`}
              taken={taken}
              counts={counts}
              titleScale={far ? Math.round(40 / camera.scale) / 40 : 1}
              focused={focus === node.id}
              onFocus={setFocus}
            />
          ))}
          {model.edges.map((edge) => (
            <Arrow
              key={edge.id}
              edge={edge}
              layout={layout}
              enabled={active.has(edge.source)}
              takenSeq={edge.transitions.some(({ id }) => taken.has(id)) ? (actor?.moved?.seq ?? 0) : 0}
              count={counts ? edgeCount(edge, counts) : undefined}
            />
          ))}
        </g>
      </svg>
      <Tools zoom={zoom} fit={fit} centre={here && (() => centre(here))} />
      {focus !== null && <About model={model} id={focus} counts={counts} onClose={() => setFocus(null)} />}
    </div>
  );
}

/** The states that an actor is in, and the transitions it took last. */
function useHighlights(
  model: ChartModel,
  actor: ActorView | undefined,
): { readonly active: ReadonlySet<string>; readonly taken: ReadonlySet<string> } {
  const active = useMemo(
    () => new Set(actor ? selfAndAncestors(model, actor.path === '' ? model.id : `${model.id}.${actor.path}`) : []),
    [model, actor?.path],
  );
  const taken = useMemo(() => new Set(actor?.moved?.transitions), [actor?.moved]);
  return { active, taken };
}

function Arrowheads({ size }: { readonly size: number }) {
  return (
    <defs>
      {['plain', 'enabled', 'taken'].map((kind) => (
        <marker
          key={kind}
          id={`arrow-${kind}`}
          className={`arrow-${kind}`}
          viewBox="0 0 8 8"
          refX="7"
          refY="4"
          markerWidth={size}
          markerHeight={size}
          markerUnits="userSpaceOnUse"
          orient="auto"
        >
          <path d="M0 0L8 4L0 8z" />
        </marker>
      ))}
    </defs>
  );
}

function Tools({ zoom, fit, centre }: Pick<PanZoom, 'zoom' | 'fit'> & { readonly centre: (() => void) | undefined }) {
  return (
    <div className="chart-tools">
      <button type="button" onClick={() => zoom(1.3)} aria-label="Zoom in">
        +
      </button>
      <button type="button" onClick={() => zoom(1 / 1.3)} aria-label="Zoom out">
        −
      </button>
      <button type="button" onClick={centre} disabled={!centre} title="The state that is active, large enough to be read">
        Active
      </button>
      <button type="button" onClick={fit}>
        Fit
      </button>
    </div>
  );
}

interface CardProps {
  readonly model: ChartModel;
  readonly layout: ChartLayout;
  readonly node: ChartNode;
  readonly active: boolean;
  readonly leaf: boolean;
  readonly taken: ReadonlySet<string>;
  readonly counts: ReadonlyMap<string, number> | undefined;
  /** Size of the name against the card's own lettering. */
  readonly titleScale: number;
  readonly focused: boolean;
  readonly onFocus: (id: string) => void;
}

const Card = memo(function Card({ model, layout, node, active, leaf, taken, counts, titleScale, focused, onFocus }: CardProps) {
  const box = layout.nodes[node.id];
  const rows = useMemo(() => cardRows(model, node), [model, node]);
  const places = useMemo(() => rowPlaces(model, node), [model, node]);
  if (!box) return null;
  const isCompound = model.nodes.some(({ parent }) => parent === node.id);
  const size = titleSize(node, box.width, isCompound ? layout.nodes[node.id]!.height : box.height, titleScale);
  const any = layout.nodes[anyStateId(node.id)];
  return (
    <g
      className={`node ${tone(node.path)}`}
      data-node={node.path === '' ? model.id : node.path}
      data-active={active}
      data-leaf={leaf}
      data-compound={isCompound}
      data-focused={focused}
      onClick={() => onFocus(node.id)}
    >
      <rect x={box.x} y={box.y} width={box.width} height={box.height} rx={8} data-final={node.type === 'final'} />
      {node.initial && <circle className="initial" cx={box.x} cy={box.y} r={4} />}
      {titleScale > 1 && !isCompound ? (
        <text className="title" x={box.x + box.width / 2} y={box.y + box.height / 2 + size * 0.35} fontSize={size} textAnchor="middle">
          {node.key}
        </text>
      ) : (
        <text className="title" x={box.x + 10} y={box.y + 6 + size} fontSize={size}>
          {node.key}
        </text>
      )}
      {titleScale === 1 &&
        rows.map((row, index) => (
          <Row
            key={index}
            row={row}
            x={box.x + places[index]!.x}
            y={box.y + places[index]!.y}
            width={isCompound ? places[index]!.width : box.width}
            enabled={active}
            taken={taken}
            counts={counts}
          />
        ))}
      {any && (
        <g className="any-state">
          <rect x={any.x} y={any.y} width={any.width} height={any.height} rx={9} />
          <text x={any.x + 8} y={any.y + 13} fontSize={lettering.row}>
            {anyStateText}
          </text>
        </g>
      )}
    </g>
  );
});

/** As large as is readable, as small as the card. */
function titleSize({ key }: ChartNode, width: number, height: number, scale: number): number {
  if (scale <= 1) return 13;
  return Math.max(13, Math.min(13 * scale * 0.95, (width - 12) / (key.length * 0.6), height * 0.6));
}

interface RowProps {
  readonly row: CardRow;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly enabled: boolean;
  readonly taken: ReadonlySet<string>;
  readonly counts: ReadonlyMap<string, number> | undefined;
}

function Row({ row, x, y, width, enabled, taken, counts }: RowProps) {
  const count = counts && row.transitions.reduce((sum, { id }) => sum + (counts.get(id) ?? 0), 0);
  const isTaken = row.transitions.some(({ id }) => taken.has(id));
  return (
    <g
      className="row"
      data-enabled={enabled && row.transitions.length > 0}
      data-taken={isTaken}
      data-covered={count === undefined ? undefined : count > 0}
    >
      {isTaken && <rect x={x + 4} y={y - 11} width={width - 8} height={lettering.rowHeight} rx={3} />}
      <text x={x + 10} y={y} fontSize={lettering.row}>
        {row.text}
      </text>
      {count !== undefined && row.transitions.length > 0 && (
        <text className="count" x={x + width - 8} y={y} fontSize={9.5} textAnchor="end">
          {count}
        </text>
      )}
    </g>
  );
}

interface ArrowProps {
  readonly edge: ChartEdge;
  readonly layout: ChartLayout;
  readonly enabled: boolean;
  /** Record that took it; 0 when it was not the newest. */
  readonly takenSeq: number;
  readonly count: number | undefined;
}

const Arrow = memo(function Arrow({ edge, layout, enabled, takenSeq, count }: ArrowProps) {
  const path = useMemo(() => roundedPath(layout.edges[edge.id] ?? []), [edge.id, layout]);
  const kind = takenSeq > 0 ? 'taken' : enabled ? 'enabled' : 'plain';
  const weight = count === undefined ? undefined : count === 0 ? 'none' : count < 5 ? 'some' : 'many';
  return (
    <g className="edge" data-kind={kind} data-weight={weight} data-edge={edge.id}>
      <path d={path} markerEnd={`url(#arrow-${kind})`} />
      {takenSeq > 0 && <path key={takenSeq} className="flow" d={path} pathLength={1} />}
    </g>
  );
});

interface AboutProps {
  readonly model: ChartModel;
  readonly id: string;
  readonly counts: ReadonlyMap<string, number> | undefined;
  readonly onClose: () => void;
}

/** What the machine itself says of a state. */
function About({ model, id, counts, onClose }: AboutProps) {
  const node = model.nodes.find((one) => one.id === id);
  if (!node) return null;
  const described = model.transitions.filter(({ source, description }) => source === id && description !== undefined);
  return (
    <aside className="about" aria-label={`About ${node.key}`}>
      <header>
        <h3>{node.path === '' ? node.key : node.path}</h3>
        <button type="button" onClick={onClose} aria-label="Close">
          ×
        </button>
      </header>
      <p>{node.description ?? 'The machine says nothing about this state.'}</p>
      <ul>
        {described.map((one) => (
          <li key={one.id}>
            <code>
              {one.label}
              {one.guard !== undefined && ` [${one.guard}]`}
            </code>{' '}
            {one.description}
            {counts && <span className="muted"> · taken {counts.get(one.id) ?? 0} times</span>}
          </li>
        ))}
      </ul>
    </aside>
  );
}
