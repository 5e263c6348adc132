import { useState } from 'react';
import { requestsOf, routeOf } from '../run/meaning.ts';
import type { Lane, RunRecord } from '../trace/format.ts';
import { eventName, formatMoment, leaf, shortId, tone } from './format.ts';
import { useCalmMoment, useChosen, useController, usePage } from './hooks.ts';

const lanes: readonly { readonly id: Lane; readonly label: string }[] = [
  { id: 'user', label: 'You' },
  { id: 'pool', label: 'Pool' },
  { id: 'session', label: 'Session' },
  { id: 'worker', label: 'Stream worker' },
  { id: 'server', label: 'Server' },
];
const laneAt = new Map(lanes.map(({ id }, index) => [id, index]));

/** Records drawn at once: the newest ones before the moment. */
const shownRecords = 60;
const size = { time: 150, lane: 108, row: 24, head: 28 } as const;

/** One arrow: an event, or a request that came of it. */
interface Arrow {
  readonly key: string;
  readonly record: RunRecord;
  readonly from: Lane;
  readonly to: Lane;
  readonly what: string;
  readonly isRequest: boolean;
}

/** Who told whom what, one row a message. */
export function SequenceView() {
  const controller = useController();
  const { records, end } = useCalmMoment();
  const { choice } = usePage();
  const chosen = useChosen();
  const [everyone, setEveryone] = useState(true);
  const arrows = newest(records, end, everyone || !chosen ? undefined : chosen.id).flatMap(arrowsOf);
  const width = size.time + size.lane * lanes.length;
  const height = Math.max(1, arrows.length) * size.row + 12;
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
          aria-label={`The last ${arrows.length} messages among pool, session, worker and server`}
          data-testid="sequence"
        >
          {lanes.map(({ id }, index) => (
            <line key={id} className="lane" x1={laneX(index)} x2={laneX(index)} y1={0} y2={height} />
          ))}
          {arrows.map((arrow, index) => (
            <Message
              key={arrow.key}
              arrow={arrow}
              y={index * size.row + 18}
              startMs={startMs}
              chosen={choice.record === arrow.record.seq}
              onChoose={() => controller.choose({ record: arrow.record.seq })}
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
  for (let index = end - 1; index >= 0 && found.length < shownRecords; index -= 1) {
    const record = records[index]!;
    if (actor === undefined || record.actor === actor) found.push(record);
  }
  return found.toReversed();
}

function arrowsOf(record: RunRecord): Arrow[] {
  const { from, to } = routeOf(record);
  const what = `${eventName(record.type)}${record.path === undefined ? '' : ` → ${leaf(record.path)}`}`;
  const event = { key: `${record.seq}`, record, from, to, what, isRequest: false };
  const requests = requestsOf(record).map((effect) => {
    const asker: Lane = to === 'session' ? 'session' : 'pool';
    return { key: `${record.seq} ${effect}`, record, from: asker, to: 'server', what: effect, isRequest: true } as const;
  });
  return [event, ...requests];
}

const laneX = (index: number): number => size.time + index * size.lane + size.lane / 2;

interface MessageProps {
  readonly arrow: Arrow;
  readonly y: number;
  readonly startMs: number;
  readonly chosen: boolean;
  readonly onChoose: () => void;
}

function Message({ arrow: { record, from: sender, to: receiver, what, isRequest }, y, startMs, chosen, onChoose }: MessageProps) {
  const from = laneX(laneAt.get(sender) ?? 0);
  const to = laneX(laneAt.get(receiver) ?? 0);
  const isOwn = from === to;
  const middle = isOwn ? from + 26 : (from + to) / 2;
  return (
    <g
      className={`message ${record.path === undefined || isRequest ? '' : tone(record.path)}`}
      data-chosen={chosen}
      data-type={isRequest ? what : record.type}
      data-request={isRequest}
      onClick={onChoose}
    >
      <rect className="hit" x={0} y={y - 14} width={size.time + size.lane * lanes.length} height={size.row} />
      <text className="time" x={6} y={y}>
        {isRequest ? '' : `${formatMoment(record.atMs, startMs)} ${shortId(record.actor)}`}
      </text>
      {isOwn ? <path d={`M${from} ${y - 6}h14v8h-11`} className="own" /> : <path d={`M${from} ${y}H${to}`} />}
      <path className="tip" d={isOwn ? `M${from + 2} ${y + 2}l6 -3v6z` : tip(from, to, y)} />
      <text className="what" x={middle} y={y - 4} textAnchor={isOwn ? 'start' : 'middle'}>
        {what}
      </text>
    </g>
  );
}

function tip(from: number, to: number, y: number): string {
  const back = from < to ? -7 : 7;
  return `M${to} ${y}l${back} -3.5v7z`;
}
