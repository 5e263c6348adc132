import { memo, useMemo } from 'react';
import {
  anyStateId,
  anyStateText,
  cardRows,
  isCompound,
  lettering,
  rowPlaces,
  type Box,
  type CardRow,
  type ChartLayout,
} from '../chart/layout.ts';
import type { ChartModel, ChartNode } from '../chart/model.ts';
import type { NodeRole } from './chart-marks.ts';
import { tone } from './format.ts';

interface CardProps {
  readonly model: ChartModel;
  readonly layout: ChartLayout;
  readonly node: ChartNode;
  readonly role: NodeRole;
  readonly taken: ReadonlySet<string>;
  readonly counts: ReadonlyMap<string, number> | undefined;
  /** Its rows cannot be read. */
  readonly far: boolean;
  readonly focused: boolean;
  readonly onFocus: (id: string) => void;
}

/** A state: its box and its rows. Its name is drawn apart. */
export const Card = memo(function Card({ model, layout, node, role, taken, counts, far, focused, onFocus }: CardProps) {
  const box = layout.nodes[node.id];
  const rows = useMemo(() => cardRows(model, node), [model, node]);
  const places = useMemo(() => rowPlaces(model, node), [model, node]);
  if (!box) return null;
  const compound = isCompound(model, node);
  const any = layout.nodes[anyStateId(node.id)];
  return (
    <g
      className={`node ${tone(node.path)}`}
      data-node={node.path === '' ? model.id : node.path}
      data-role={role}
      data-active={role === 'leaf' || role === 'around'}
      data-leaf={role === 'leaf'}
      data-compound={compound}
      data-focused={focused}
      onClick={() => onFocus(node.id)}
    >
      <rect x={box.x} y={box.y} width={box.width} height={box.height} rx={8} data-final={node.type === 'final'} />
      {node.initial && <circle className="initial" cx={box.x} cy={box.y} r={4} />}
      {!far &&
        rows.map((row, index) => (
          <Row
            key={index}
            row={row}
            x={box.x + places[index]!.x}
            y={box.y + places[index]!.y}
            width={compound ? places[index]!.width : box.width}
            enabled={role === 'leaf' || role === 'around'}
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

interface TitleProps {
  readonly node: ChartNode;
  readonly box: Box | undefined;
  readonly role: NodeRole;
  readonly isCompound: boolean;
  /** Size of the name against the card's own lettering. */
  readonly scale: number;
}

/**
 * The name of a state, above all lines. From afar it fills the card; that of the active state can be read at any scale, even when it is wider
 * than its card.
 */
export const Title = memo(function Title({ node, box, role, isCompound: compound, scale }: TitleProps) {
  if (!box) return null;
  const filling = Math.min(13 * scale * 0.95, (box.width - 8) / (node.key.length * 0.6), box.height * 0.6);
  const size = scale <= 1 ? 13 : Math.max(role === 'leaf' ? 11 * scale : 13, filling);
  const inMiddle = scale > 1 && !compound;
  const x = inMiddle ? box.x + box.width / 2 : box.x + 10;
  const y = inMiddle ? box.y + box.height / 2 + size * 0.35 : box.y + 6 + size;
  return (
    <text
      className={`title ${tone(node.path)}`}
      data-role={role}
      x={x}
      y={y}
      fontSize={size}
      strokeWidth={size / 4}
      textAnchor={inMiddle ? 'middle' : undefined}
    >
      {node.key}
    </text>
  );
});

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
