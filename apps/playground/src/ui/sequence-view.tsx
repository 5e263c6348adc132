import { useState } from 'react';
import type { Lane, RunRecord } from '../trace/format.ts';
import { eventName, formatMoment, leaf, shortId, tone } from './format.ts';
import { useChosen, useController, useMoment, usePage } from './hooks.ts';

const lanes: readonly { readonly id: Lane; readonly label: string }[] = [
  { id: 'user', label: 'You' },
  { id: 'pool', label: 'Pool' },
  { id: 'session', label: 'Session' },
  { id: 'worker', label: 'Stream worker' },
  { id: 'server', label: 'Server' },
];
const laneAt = new Map(lanes.map(({ id }, index) => [id, index]));

/** Messages drawn at once: the newest ones before the moment. */
const shownMessages = 60;
const size = { time: 150, lane: 108, row: 24, head: 28 } as const;

/** Who told whom what, one row a message. */
export function SequenceView() {
  const controller = useController();
  const { records, end } = useMoment();
  const { choice } = usePage();
  const chosen = useChosen();
  const [everyone, setEveryone] = useState(true);
  const messages = newest(records, end, everyone || !chosen ? undefined : chosen.id);
  const width = size.time + size.lane * lanes.length;
  const height = Math.max(1, messages.length) * size.row + 12;
  const startMs = records[0]?.atMs ?? 0;
  return (
    <div className="sequence">
      <label className="switch">
        <input type="checkbox" checked={!everyone} onChange={(event) => setEveryone(!event.target.checked)} disabled={!chosen} />
        Only {chosen ? shortId(chosen.id) : 'the chosen session'}
      </label>
      <div className="sequence-scroll" tabIndex={0} role="region" aria-label="Sequence diagram">
        <svg
          width={width}
          height={height}
          role="img"
          aria-label={`The last ${messages.length} messages among pool, session, worker and server`}
          data-testid="sequence"
        >
          {lanes.map(({ id }, index) => (
            <line key={id} className="lane" x1={laneX(index)} x2={laneX(index)} y1={0} y2={height} />
          ))}
          {messages.map((record, index) => (
            <Message
              key={record.seq}
              record={record}
              y={index * size.row + 18}
              startMs={startMs}
              chosen={choice.record === record.seq}
              onChoose={() => controller.choose({ record: record.seq })}
            />
          ))}
        </svg>
        <svg className="sequence-head" width={width} height={size.head} aria-hidden="true">
          {lanes.map(({ id, label }, index) => (
            <text key={id} x={laneX(index)} y={18} textAnchor="middle">
              {label}
            </text>
          ))}
        </svg>
      </div>
    </div>
  );
}

function newest(records: readonly RunRecord[], end: number, actor: string | undefined): RunRecord[] {
  const found: RunRecord[] = [];
  for (let index = end - 1; index >= 0 && found.length < shownMessages; index -= 1) {
    const record = records[index]!;
    if (actor === undefined || record.actor === actor) found.push(record);
  }
  return found.toReversed();
}

const laneX = (index: number): number => size.time + index * size.lane + size.lane / 2;

interface MessageProps {
  readonly record: RunRecord;
  readonly y: number;
  readonly startMs: number;
  readonly chosen: boolean;
  readonly onChoose: () => void;
}

function Message({ record, y, startMs, chosen, onChoose }: MessageProps) {
  const from = laneX(laneAt.get(record.from) ?? 0);
  const to = laneX(laneAt.get(record.to) ?? 0);
  const isOwn = from === to;
  const middle = isOwn ? from + 26 : (from + to) / 2;
  const text = `${eventName(record.type)}${record.path === undefined ? '' : ` → ${leaf(record.path)}`}`;
  return (
    <g
      className={`message ${record.path === undefined ? '' : tone(record.path)}`}
      data-chosen={chosen}
      data-type={record.type}
      onClick={onChoose}
    >
      <rect className="hit" x={0} y={y - 14} width={size.time + size.lane * lanes.length} height={size.row} />
      <text className="time" x={6} y={y}>
        {formatMoment(record.atMs, startMs)} {shortId(record.actor)}
      </text>
      {isOwn ? <path d={`M${from} ${y - 6}h14v8h-11`} className="own" /> : <path d={`M${from} ${y}H${to}`} />}
      <path className="tip" d={isOwn ? `M${from + 2} ${y + 2}l6 -3v6z` : tip(from, to, y)} />
      <text className="what" x={middle} y={y - 4} textAnchor={isOwn ? 'start' : 'middle'}>
        {text}
      </text>
    </g>
  );
}

function tip(from: number, to: number, y: number): string {
  const back = from < to ? -7 : 7;
  return `M${to} ${y}l${back} -3.5v7z`;
}
