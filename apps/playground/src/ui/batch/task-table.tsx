import { memo, useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent, type RefObject } from 'react';
import type { BatchRow } from '../../batch/format.ts';
import type { BatchCriteria } from '../../batch/order.ts';
import { plain, stateWords, type Surroundings } from '../../batch/words.ts';
import type { ActorView } from '../../run/view.ts';
import { formatAge, formatCost, formatCount, formatTook } from '../format.ts';
import { useCalmMoment, useController } from '../hooks.ts';
import { useMedia } from './media.ts';

/** Heights of a row, in pixels, as the style has them: in a narrow window a row has two lines. */
const rowHeights = { wide: 28, narrow: 48 } as const;

/** Rows beyond the edges that are drawn too. */
const margin = 6;

interface TaskTableProps {
  /** In their order. */
  readonly rows: readonly BatchRow[];
  readonly all: ReadonlyMap<string, BatchRow>;
  /** The run has told its tasks. */
  readonly isWhole: boolean;
  readonly isLive: boolean;
  readonly nowMs: number;
  /** Key of the task whose conversation is shown. */
  readonly chosen: string | null;
  /** Other rows are wanted when it is another one: they are shown from the first on. */
  readonly criteria: BatchCriteria;
}

/**
 * The tasks as a table of which the rows in sight are drawn, however many there are. One stop for the keyboard: arrows, Page and Home and End go
 * from task to task; a screen reader is told the number of all rows and the place of each.
 */
export function TaskTable({ rows, all, isWhole, isLive, nowMs, chosen, criteria }: TaskTableProps) {
  const controller = useController();
  const rowHeight = useMedia('(max-width: 900px)') ? rowHeights.narrow : rowHeights.wide;
  const box = useRef<HTMLDivElement>(null);
  const { first, last, onScroll } = useWindow(box, rows.length, rowHeight, criteria);
  const { view } = useCalmMoment();
  const at = rows.findIndex(({ key }) => key === chosen);
  const stop = at === -1 ? 0 : at;
  const focusNext = useFocus(box, rowHeight);
  const choose = (key: string) => controller.choose({ task: key });
  const onKeyDown = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor((box.current?.clientHeight ?? 0) / rowHeight) - 1);
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -rows.length, End: rows.length }[event.key];
    if (by === undefined || rows.length === 0) return;
    event.preventDefault();
    const next = Math.min(rows.length - 1, Math.max(0, stop + by));
    choose(rows[next]!.key);
    focusNext(next);
  };
  return (
    <section className="panel tasks" aria-label="Tasks">
      <div ref={box} className="task-scroll" onScroll={onScroll} onKeyDown={onKeyDown} data-testid="tasks">
        <div role="table" aria-label="Tasks of the run" aria-rowcount={rows.length + 1} className="task-table">
          <ColumnHeads />
          <div role="rowgroup" className="task-body" style={{ height: rows.length * rowHeight }}>
            {drawnRows(rows, first, last, stop).map(({ row, index }) => {
              const session = row.sessionId === null ? undefined : view.sessions.get(row.sessionId);
              const surroundings = { isLive, nowMs, session, succeeded: (key: string) => all.get(key)?.state === 'succeeded' };
              return (
                <TaskRow
                  key={row.key}
                  row={row}
                  index={index}
                  top={index * rowHeight}
                  words={stateWords(row, surroundings)}
                  time={timeOf(row, surroundings)}
                  tokens={row.tokens + (session?.usage?.tokens ?? 0)}
                  costUsd={costOf(row, session)}
                  isChosen={row.key === chosen}
                  isStop={index === stop}
                  onChoose={choose}
                />
              );
            })}
          </div>
        </div>
      </div>
      {rows.length === 0 && <p className="empty">{isWhole ? 'No task matches.' : 'Reading the run …'}</p>}
    </section>
  );
}

/** Those in sight; and the one that the keyboard is at, wherever the wheel has gone. */
function drawnRows(rows: readonly BatchRow[], first: number, last: number, stop: number) {
  const drawn = rows.slice(first, last).map((row, index) => ({ row, index: first + index }));
  const at = rows[stop];
  if (at && stop < first) return [{ row: at, index: stop }, ...drawn];
  return at && stop >= last ? [...drawn, { row: at, index: stop }] : drawn;
}

function ColumnHeads() {
  return (
    <div role="rowgroup" className="task-head">
      <div role="row" aria-rowindex={1} className="task-row">
        {columns.map(({ name, label }) => (
          <span key={name} role="columnheader" className={`col-${name}`}>
            {label}
          </span>
        ))}
      </div>
    </div>
  );
}

const columns = [
  { name: 'key', label: 'Task' },
  { name: 'state', label: 'State' },
  { name: 'time', label: 'Time' },
  { name: 'attempt', label: 'Attempt' },
  { name: 'tokens', label: 'Tokens' },
  { name: 'cost', label: 'Cost' },
  { name: 'error', label: 'Error' },
] as const;

/** What its attempts cost, the one in flight as far as is known. */
function costOf({ costUsd }: BatchRow, session: ActorView | undefined): number | null {
  if (!session?.usage) return costUsd;
  return costUsd === null || session.usage.costUsd === null ? null : costUsd + session.usage.costUsd;
}

/** How long it runs or waits, or how long its attempt took. */
function timeOf({ state, sinceMs, durationMs }: BatchRow, { nowMs }: Surroundings): string {
  if ((state === 'running' || state === 'waiting') && sinceMs !== null) return formatAge(nowMs - sinceMs);
  return durationMs === null || state === 'not_started' ? '' : formatTook(durationMs);
}

/** Which rows are in sight; from the first on when others are wanted. */
function useWindow(box: RefObject<HTMLDivElement | null>, count: number, rowHeight: number, wanted: unknown) {
  const [scroll, setScroll] = useState({ top: 0, height: 600 });
  const onScroll = () => {
    if (box.current) setScroll({ top: box.current.scrollTop, height: box.current.clientHeight });
  };
  useLayoutEffect(() => {
    const observer = new ResizeObserver(onScroll);
    if (box.current) observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (box.current) box.current.scrollTop = 0;
    onScroll();
  }, [wanted]);
  const first = Math.max(0, Math.min(count, Math.floor(scroll.top / rowHeight)) - margin);
  return { first, last: Math.min(count, Math.ceil((scroll.top + scroll.height) / rowHeight) + margin), onScroll };
}

/** Brings a row into sight, and the keyboard to it as soon as it is drawn. */
function useFocus(box: RefObject<HTMLDivElement | null>, rowHeight: number): (index: number) => void {
  const [wanted, setWanted] = useState<number | null>(null);
  useEffect(() => {
    const element = box.current;
    if (wanted === null || !element) return;
    const head = element.querySelector<HTMLElement>('.task-head')?.offsetHeight ?? 0;
    const [top, bottom] = [wanted * rowHeight, (wanted + 1) * rowHeight + head];
    if (top < element.scrollTop) element.scrollTop = top;
    else if (bottom > element.scrollTop + element.clientHeight) element.scrollTop = bottom - element.clientHeight;
    element.querySelector<HTMLElement>(`[aria-rowindex="${wanted + 2}"] button`)?.focus({ preventScroll: true });
    setWanted(null);
  }, [wanted, box, rowHeight]);
  return setWanted;
}

interface TaskRowProps {
  readonly row: BatchRow;
  readonly index: number;
  readonly top: number;
  readonly words: string;
  readonly time: string;
  readonly tokens: number;
  readonly costUsd: number | null;
  readonly isChosen: boolean;
  /** The keyboard stops here. */
  readonly isStop: boolean;
  readonly onChoose: (key: string) => void;
}

const TaskRow = memo(function TaskRow({ row, index, top, words, time, tokens, costUsd, isChosen, isStop, onChoose }: TaskRowProps) {
  const { key, state, attempt, error } = row;
  const failure = state === 'running' || error === null ? '' : error.message === undefined ? error.code : `${error.code}: ${error.message}`;
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      aria-current={isChosen}
      className="task-row"
      data-state={state}
      style={{ transform: `translateY(${top}px)` }}
      onClick={() => onChoose(key)}
    >
      <span role="cell" className="col-key" title={key}>
        <button type="button" tabIndex={isStop ? 0 : -1}>
          {key}
        </button>
      </span>
      <span role="cell" className="col-state" title={plain(state)}>
        {words}
      </span>
      <span role="cell" className="col-time">
        {time}
      </span>
      <span role="cell" className="col-attempt">
        {attempt === 0 ? '' : attempt}
      </span>
      <span role="cell" className="col-tokens">
        {tokens === 0 ? '' : formatCount(tokens)}
      </span>
      <span role="cell" className="col-cost">
        {tokens === 0 ? '' : formatCost(costUsd)}
      </span>
      <span role="cell" className="col-error" title={failure}>
        {failure}
      </span>
    </div>
  );
});
