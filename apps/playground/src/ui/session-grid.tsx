import { memo, useMemo, useState, type KeyboardEvent } from 'react';
import type { ActorView } from '../run/view.ts';
import { leaf, shortId, tone } from './format.ts';
import { useChosen, useController, useMoment } from './hooks.ts';

/** Up to this many, a cell has room for its name. */
const roomy = 24;

/** All sessions as cells, coloured by state. */
export function SessionGrid() {
  const controller = useController();
  const { view } = useMoment();
  const chosen = useChosen();
  const [text, setText] = useState('');
  const [state, setState] = useState('');
  const [directory, setDirectory] = useState('');
  const all = useMemo(() => [...view.sessions.values()], [view]);
  const states = countsOf(all, ({ path }) => path);
  const directories = countsOf(all, (session) => session.directory);
  const shown = all.filter(
    (one) => (state === '' || one.path === state) && (directory === '' || one.directory === directory) && matches(one, text),
  );
  const choose = (id: string) =>
    controller.choose({ actor: id, centre: controller.state.choice.centre === 'sequence' ? 'sequence' : 'session' });
  return (
    <section className="panel grid-panel" aria-labelledby="grid-title">
      <div className="filters">
        <h2 id="grid-title">
          Sessions <span className="muted">{shown.length === all.length ? all.length : `${shown.length} of ${all.length}`}</span>
        </h2>
        <input
          type="search"
          placeholder="id or task"
          aria-label="Filter sessions by id or task"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <Choice label="state" value={state} counts={states} onChange={setState} />
        <Choice label="directory" value={directory} counts={directories} onChange={setDirectory} />
      </div>
      <Cells shown={shown} chosen={chosen?.id ?? ''} onChoose={choose} />
    </section>
  );
}

function matches({ id, lastTaskId }: ActorView, text: string): boolean {
  return text === '' || id.includes(text) || (lastTaskId ?? '').includes(text);
}

function countsOf(sessions: readonly ActorView[], key: (session: ActorView) => string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const session of sessions) counts.set(key(session), (counts.get(key(session)) ?? 0) + 1);
  return new Map([...counts].toSorted(([a], [b]) => a.localeCompare(b)));
}

interface ChoiceProps {
  readonly label: string;
  readonly value: string;
  readonly counts: ReadonlyMap<string, number>;
  readonly onChange: (value: string) => void;
}

function Choice({ label, value, counts, onChange }: ChoiceProps) {
  return (
    <select aria-label={`Filter sessions by ${label}`} value={value} onChange={(event) => onChange(event.target.value)}>
      <option value="">any {label}</option>
      {value !== '' && !counts.has(value) && <option value={value}>{value} (0)</option>}
      {[...counts].map(([name, count]) => (
        <option key={name} value={name}>
          {name} ({count})
        </option>
      ))}
    </select>
  );
}

interface CellsProps {
  readonly shown: readonly ActorView[];
  readonly chosen: string;
  readonly onChoose: (id: string) => void;
}

/** One stop for the keyboard: arrows move the choice. */
function Cells({ shown, chosen, onChoose }: CellsProps) {
  const onKeyDown = (event: KeyboardEvent) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (by === undefined || shown.length === 0) return;
    event.preventDefault();
    const at = shown.findIndex(({ id }) => id === chosen);
    onChoose(shown[(at + by + shown.length) % shown.length]!.id);
  };
  if (shown.length === 0) return <p className="empty">No session matches.</p>;
  return (
    <div
      className="cells"
      role="listbox"
      aria-label="Sessions"
      tabIndex={0}
      aria-activedescendant={shown.some(({ id }) => id === chosen) ? `cell-${chosen}` : undefined}
      onKeyDown={onKeyDown}
      data-roomy={shown.length <= roomy}
    >
      {shown.map((session) => (
        <Cell
          key={session.id}
          id={session.id}
          path={session.path}
          ended={session.ended}
          taskId={session.lastTaskId}
          selected={session.id === chosen}
          roomy={shown.length <= roomy}
          onChoose={onChoose}
        />
      ))}
    </div>
  );
}

interface CellProps {
  readonly id: string;
  readonly path: string;
  readonly ended: boolean;
  readonly taskId: string | null;
  readonly selected: boolean;
  readonly roomy: boolean;
  readonly onChoose: (id: string) => void;
}

/** Drawn again only when something of it changed: hundreds of them move at once. */
const Cell = memo(
  function Cell({ id, path, ended, taskId, selected, roomy: hasRoom, onChoose }: CellProps) {
    return (
      <div
        id={`cell-${id}`}
        role="option"
        aria-selected={selected}
        aria-label={hasRoom ? undefined : `${taskId ?? id}, ${path}`}
        className={`cell ${tone(path)}`}
        title={`${id}\n${path}${taskId === null ? '' : `\n${taskId}`}`}
        data-path={path}
        data-ended={ended}
        onClick={() => onChoose(id)}
      >
        {hasRoom && (
          <>
            <span className="cell-id">{taskId ?? shortId(id)}</span>
            <span className="cell-state">{leaf(path)}</span>
          </>
        )}
      </div>
    );
  },
  (before, after) =>
    before.path === after.path &&
    before.ended === after.ended &&
    before.taskId === after.taskId &&
    before.selected === after.selected &&
    before.id === after.id &&
    before.roomy === after.roomy,
);
