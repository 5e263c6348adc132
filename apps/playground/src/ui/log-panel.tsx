import { useEffect, useRef, useState } from 'react';
import { tagsOf } from '../run/meaning.ts';
import type { RunRecord } from '../trace/format.ts';
import { eventName, formatMoment, inline, shortId, tone } from './format.ts';
import { useCalmMoment, useController, usePage } from './hooks.ts';
import { LogFilter, type LogCriteria } from './log-filter.ts';
import { RecordDetail } from './record-detail.tsx';

const rowHeight = 22;

/** Every record up to the moment, filtered; only the rows in sight are drawn. */
export function LogPanel() {
  const controller = useController();
  const { records, end } = useCalmMoment();
  const { choice } = usePage();
  const [criteria, setCriteria] = useState<LogCriteria>({ text: '', kind: 'all', actor: null });
  const [pausedAt, setPausedAt] = useState<number | null>(null);
  const filter = useRef(new LogFilter());
  const shownEnd = pausedAt === null ? end : Math.min(pausedAt, records.length);
  const rows = filter.current.rows(records, shownEnd, criteria);
  const chosen = choice.record === null ? undefined : records[controller.store.indexOf(choice.record) - 1];
  return (
    <section className="panel log" aria-labelledby="log-title">
      <div className="panel-head">
        <h2 id="log-title">
          Events{' '}
          <span className="muted" data-testid="log-count">
            {rows.length}
          </span>
        </h2>
        <input
          type="search"
          placeholder="type, actor or payload"
          aria-label="Filter events by text"
          value={criteria.text}
          onChange={(event) => setCriteria({ ...criteria, text: event.target.value })}
        />
        <select
          aria-label="Kind of events"
          value={criteria.kind}
          onChange={(event) => setCriteria({ ...criteria, kind: event.target.value as LogCriteria['kind'] })}
        >
          <option value="all">all events</option>
          <option value="moves">state changes</option>
          <option value="error">errors</option>
          <option value="ask">asks</option>
          <option value="gap">gaps</option>
        </select>
        <label className="switch">
          <input
            type="checkbox"
            checked={criteria.actor !== null}
            onChange={(event) => setCriteria({ ...criteria, actor: event.target.checked ? choice.actor : null })}
            disabled={choice.actor === ''}
          />
          chosen only
        </label>
        <button type="button" aria-pressed={pausedAt !== null} onClick={() => setPausedAt(pausedAt === null ? end : null)}>
          {pausedAt === null ? 'Pause log' : 'Resume log'}
        </button>
      </div>
      <div className="log-body">
        <Rows rows={rows} records={records} follow={pausedAt === null} />
        {chosen ? (
          <RecordDetail record={chosen} startMs={records[0]?.atMs ?? 0} onClose={() => controller.choose({ record: null })} />
        ) : null}
      </div>
    </section>
  );
}

interface RowsProps {
  /** Places in `records`. */
  readonly rows: readonly number[];
  readonly records: readonly RunRecord[];
  readonly follow: boolean;
}

function Rows({ rows, records, follow }: RowsProps) {
  const box = useRef<HTMLDivElement>(null);
  const [scroll, setScroll] = useState({ top: 0, height: 200 });
  const atBottom = useRef(true);
  useEffect(() => {
    const element = box.current;
    if (element && follow && atBottom.current) element.scrollTop = element.scrollHeight;
  });
  const first = Math.max(0, Math.floor(scroll.top / rowHeight) - 4);
  const last = Math.min(rows.length, first + Math.ceil(scroll.height / rowHeight) + 8);
  const onScroll = () => {
    const element = box.current;
    if (!element) return;
    atBottom.current = element.scrollTop + element.clientHeight >= element.scrollHeight - rowHeight;
    setScroll({ top: element.scrollTop, height: element.clientHeight });
  };
  const startMs = records[0]?.atMs ?? 0;
  return (
    <div ref={box} className="rows" onScroll={onScroll} tabIndex={0} role="region" aria-label="Event log" data-testid="log">
      <table style={{ height: rows.length * rowHeight }}>
        <caption className="visually-hidden">Events of the run</caption>
        <thead className="visually-hidden">
          <tr>
            <th scope="col">Time</th>
            <th scope="col">Actor</th>
            <th scope="col">Event</th>
            <th scope="col">State</th>
            <th scope="col">Payload</th>
          </tr>
        </thead>
        <tbody style={{ transform: `translateY(${first * rowHeight}px)` }}>
          {rows.slice(first, last).map((index) => (
            <LogRow key={records[index]!.seq} record={records[index]!} startMs={startMs} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function LogRow({ record, startMs }: { readonly record: RunRecord; readonly startMs: number }) {
  const controller = useController();
  const { choice } = usePage();
  const choose = () => controller.choose({ record: record.seq, ...(record.actor !== 'stream' && { actor: record.actor }) });
  return (
    <tr data-chosen={choice.record === record.seq} data-tag={tagsOf(record)[0]} data-type={record.type} onClick={choose}>
      <td className="time">{formatMoment(record.atMs, startMs)}</td>
      <td className="actor" title={record.actor}>
        {shortId(record.actor)}
      </td>
      <td className="type">
        <button type="button" onClick={choose}>
          {eventName(record.type)}
        </button>
      </td>
      <td>{record.path !== undefined && <span className={`state small ${tone(record.path)}`}>{record.path}</span>}</td>
      <td className="payload">{record.payload === undefined ? '' : inline(record.payload, 160)}</td>
    </tr>
  );
}
