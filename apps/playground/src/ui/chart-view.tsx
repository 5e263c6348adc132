import { memo, useMemo, useRef, useState } from 'react';
import { isCompound, type ChartLayout } from '../chart/layout.ts';
import type { ChartEdge, ChartModel } from '../chart/model.ts';
import type { Chart } from '../chart/shipped.ts';
import { edgeCount, roundedPath } from '../chart/svg.ts';
import type { ActorView } from '../run/view.ts';
import { Card, Title } from './chart-card.tsx';
import { edgeKind, nodeRole, ranks, useMarks, type ChartMarks, type EdgeKind } from './chart-marks.ts';
import { usePanZoom, type PanZoom } from './pan-zoom.ts';

/** Below this scale the rows of the cards cannot be read: names take their place. */
const readableScale = 0.6;

interface ChartViewProps {
  readonly chart: Chart;
  readonly actor: ActorView | undefined;
  /** Present with the coverage switched on. */
  readonly counts: ReadonlyMap<string, number> | undefined;
}

/**
 * A machine as a chart. The state that is active, the ways out of it and the way just taken are drawn strongly, everything else faintly.
 */
export function ChartView({ chart, actor, counts }: ChartViewProps) {
  const { model, layout } = chart;
  const svg = useRef<SVGSVGElement>(null);
  const { camera, fit, zoom, centre, handlers } = usePanZoom(svg, layout);
  const [focus, setFocus] = useState<string | null>(null);
  const marks = useMarks(model, actor);
  const here = actor && layout.nodes[marks.leaf];
  return (
    <div className="chart" data-far={camera.scale < readableScale}>
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
        <Arrowheads scale={camera.scale} />
        <g transform={`translate(${camera.x} ${camera.y}) scale(${camera.scale})`}>
          <Drawing chart={chart} marks={marks} counts={counts} scale={camera.scale} focus={focus} onFocus={setFocus} />
        </g>
      </svg>
      <Legend />
      <Tools zoom={zoom} fit={fit} centre={here && (() => centre(here))} />
      {focus !== null && <About model={model} id={focus} counts={counts} onClose={() => setFocus(null)} />}
    </div>
  );
}

interface DrawingProps {
  readonly chart: Chart;
  readonly marks: ChartMarks;
  readonly counts: ReadonlyMap<string, number> | undefined;
  readonly scale: number;
  /** Id of the state that was clicked. */
  readonly focus: string | null;
  readonly onFocus: (id: string) => void;
}

/** Boxes first, then lines, the strong ones last, and names above all. */
function Drawing({ chart: { model, layout }, marks, counts, scale, focus, onFocus }: DrawingProps) {
  const edges = useMemo(() => model.edges.toSorted((a, b) => ranks[edgeKind(a, marks)] - ranks[edgeKind(b, marks)]), [model, marks]);
  const names = useMemo(
    () => model.nodes.toSorted((a, b) => Number(a.id === marks.leaf) - Number(b.id === marks.leaf)),
    [model, marks.leaf],
  );
  const far = scale < readableScale;
  // In steps, so that a zoom does not draw every name again with each frame.
  const titleScale = far ? Math.round(40 / scale) / 40 : 1;
  return (
    <>
      {model.nodes.map((node) => (
        <Card
          key={node.id}
          model={model}
          layout={layout}
          node={node}
          role={nodeRole(node.id, marks)}
          taken={marks.taken}
          counts={counts}
          far={far}
          focused={focus === node.id}
          onFocus={onFocus}
        />
      ))}
      {edges.map((edge) => (
        <Arrow
          key={edge.id}
          edge={edge}
          layout={layout}
          kind={edgeKind(edge, marks)}
          takenSeq={marks.takenSeq}
          count={counts ? edgeCount(edge, counts) : undefined}
        />
      ))}
      {names.map((node) => (
        <Title
          key={node.id}
          node={node}
          box={layout.nodes[node.id]}
          role={nodeRole(node.id, marks)}
          isCompound={isCompound(model, node)}
          scale={titleScale}
        />
      ))}
    </>
  );
}

/** Of the same size on the screen at any scale; the stronger the line, the larger. */
function Arrowheads({ scale }: { readonly scale: number }) {
  const onScreen = { plain: 5, inherited: 6, enabled: 8, taken: 9.5 } as const;
  return (
    <defs>
      {Object.entries(onScreen).map(([kind, size]) => (
        <marker
          key={kind}
          id={`arrow-${kind}`}
          className={`arrow-${kind}`}
          viewBox="0 0 8 8"
          refX="7"
          refY="4"
          markerWidth={size / Math.min(1, scale)}
          markerHeight={size / Math.min(1, scale)}
          markerUnits="userSpaceOnUse"
          orient="auto"
        >
          <path d="M0 0L8 4L0 8z" />
        </marker>
      ))}
    </defs>
  );
}

function Legend() {
  return (
    <ul className="legend" aria-label="What the lines mean">
      <li data-kind="enabled">may come</li>
      <li data-kind="taken">just taken</li>
    </ul>
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

interface ArrowProps {
  readonly edge: ChartEdge;
  readonly layout: ChartLayout;
  readonly kind: EdgeKind;
  /** Record that took the way just taken. */
  readonly takenSeq: number;
  readonly count: number | undefined;
}

const Arrow = memo(
  function Arrow({ edge, layout, kind, takenSeq, count }: ArrowProps) {
    const path = useMemo(() => roundedPath(layout.edges[edge.id] ?? []), [edge.id, layout]);
    const weight = count === undefined ? undefined : count === 0 ? 'none' : count < 5 ? 'some' : 'many';
    return (
      <g className="edge" data-kind={kind} data-weight={weight} data-edge={edge.id}>
        <path d={path} markerEnd={`url(#arrow-${kind})`} />
        {kind === 'taken' && <path key={takenSeq} className="flow" d={path} pathLength={1} />}
      </g>
    );
  },
  (before, after) =>
    before.edge === after.edge &&
    before.layout === after.layout &&
    before.kind === after.kind &&
    before.count === after.count &&
    (after.kind !== 'taken' || before.takenSeq === after.takenSeq),
);

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
