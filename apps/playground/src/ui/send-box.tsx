import { useEffect, useMemo, useState } from 'react';
import { enabledEvents, type EnabledEvent } from '../app/enabled.ts';
import { templateOf } from '../app/templates.ts';
import { kindOf, routeOf } from '../run/meaning.ts';
import type { ActorView } from '../run/view.ts';
import type { Json, RunInfo } from '../trace/format.ts';
import { Asks } from './asks.tsx';
import { shortId } from './format.ts';
import { useChosen, useController, useMoment, usePage } from './hooks.ts';

/** The events that the chosen actor would react to now, each with a payload that can be edited. */
export function SendBox() {
  const { info, charts } = usePage();
  const { following } = useMoment();
  const actor = useChosen();
  const events = useMemo(() => (actor ? enabledEvents(charts, actor) : []), [charts, actor?.id, actor?.path, actor?.ended]);
  if (!actor) return <p className="empty">No session yet.</p>;
  return (
    <div className="send-box">
      <p className="actor-line">
        To <b>{shortId(actor.id)}</b>, in <b data-testid="chosen-path">{actor.path}</b>
      </p>
      {info.mode !== 'trace' && <Asks actor={actor} />}
      {events.length === 0 && (
        <p className="empty">{actor.ended ? 'The pool has let it go.' : 'This state takes no events: it is final.'}</p>
      )}
      <Notes info={info} />
      <Sender actor={actor} events={events} info={info} disabled={!following} />
      {!following && <p className="muted">You look at an earlier moment. Press Now to send.</p>}
    </div>
  );
}

function Notes({ info: { mode, control } }: { readonly info: RunInfo }) {
  if (mode === 'trace') return <p className="muted">A recorded run takes no events. It would react to:</p>;
  if (mode === 'live' && !control)
    return <p className="muted">This run cannot be controlled from here: it was started without --allow-control. It would react to:</p>;
  return null;
}

interface SenderProps {
  readonly actor: ActorView;
  readonly events: readonly EnabledEvent[];
  readonly info: RunInfo;
  readonly disabled: boolean;
}

function Sender({ actor, events, info, disabled }: SenderProps) {
  const controller = useController();
  const [type, setType] = useState('');
  const [text, setText] = useState('');
  const chosen = events.find((event) => event.type === type && refusalOf(info, actor, event) === undefined);
  useEffect(() => {
    if (!chosen) setType('');
  }, [chosen]);
  const choose = (event: EnabledEvent) => {
    const input = { nowMs: nowOf(controller), context: actor.context };
    setType(event.type);
    setText(JSON.stringify(event.isDelay ? {} : templateOf(actor.id, event.type, input), null, 2));
  };
  return (
    <>
      <EventButtons actor={actor} events={events} info={info} disabled={disabled} chosen={type} onChoose={choose} />
      {chosen && (
        <Editor
          label={chosen.label}
          text={text}
          onChange={setText}
          disabled={disabled}
          onSend={() => void controller.send(actor.id, type, JSON.parse(text) as Json)}
        />
      )}
    </>
  );
}

interface EventButtonsProps extends SenderProps {
  readonly chosen: string;
  readonly onChoose: (event: EnabledEvent) => void;
}

/** What cannot be sent is shown all the same: it may come, from somebody else. */
function EventButtons({ actor, events, info, disabled, chosen, onChoose }: EventButtonsProps) {
  const others = info.mode !== 'trace' && info.control ? events.filter((event) => refusalOf(info, actor, event) !== undefined) : [];
  const open = events.filter((event) => !others.includes(event));
  const button = (event: EnabledEvent) => (
    <button
      key={event.type}
      type="button"
      disabled={disabled || refusalOf(info, actor, event) !== undefined}
      aria-pressed={event.type === chosen}
      data-delay={event.isDelay}
      onClick={() => onChoose(event)}
      title={[refusalOf(info, actor, event), titleOf(event)].filter(Boolean).join('\n')}
    >
      {event.label}
    </button>
  );
  return (
    <>
      <div className="event-buttons" role="group" aria-label="Events that are possible now">
        {open.map(button)}
      </div>
      {others.length > 0 && (
        <details className="others">
          <summary>{others.length} more that come by themselves</summary>
          {[...Map.groupBy(others, (event) => refusalOf(info, actor, event)!)].map(([why, list]) => (
            <div key={why}>
              <p className="muted">{why}</p>
              <div className="event-buttons">{list.map(button)}</div>
            </div>
          ))}
        </details>
      )}
    </>
  );
}

/** A turn is begun by who holds the session. */
const poolAlone: ReadonlySet<string> = new Set(['turn.resume', 'session.recover']);

/** Why an event cannot be sent from here; undefined when it can. */
function refusalOf({ mode, control, doors = [] }: RunInfo, actor: ActorView, { type, isDelay }: EnabledEvent): string | undefined {
  if (mode === 'trace' || !control) return 'Not from here.';
  if (doors.includes(`${kindOf(actor.id)} ${type}`)) return undefined;
  const isSimulated = mode === 'simulation';
  if (isDelay) return isSimulated ? undefined : 'Timers of the machine:';
  if (isSimulated && kindOf(actor.id) === 'session' && !poolAlone.has(type)) return undefined;
  const { from } = routeOf({ seq: 0, atMs: 0, actor: actor.id, type });
  if (from === 'worker') return "Told by the server's event stream:";
  if (from === 'server') return 'Told by the server itself, or by the answer of a request:';
  return 'Told by the pool and its actors alone:';
}

interface EditorProps {
  readonly label: string;
  readonly text: string;
  readonly disabled: boolean;
  readonly onChange: (text: string) => void;
  readonly onSend: () => void;
}

function Editor({ label, text, disabled, onChange, onSend }: EditorProps) {
  const problem = problemOf(text);
  return (
    <div className="editor">
      <label>
        Payload of <b>{label}</b>
        <textarea
          value={text}
          spellCheck={false}
          rows={Math.min(12, text.split('\n').length + 1)}
          onChange={(event) => onChange(event.target.value)}
          aria-invalid={problem !== undefined}
          data-testid="payload"
        />
      </label>
      {problem !== undefined && <p className="problem">{problem}</p>}
      <button type="button" className="primary" onClick={onSend} disabled={disabled || problem !== undefined} data-testid="send">
        Send
      </button>
    </div>
  );
}

function nowOf({ simulation }: ReturnType<typeof useController>): number {
  return simulation?.nowMs ?? Date.now();
}

function titleOf({ transitions }: EnabledEvent): string {
  return transitions
    .map(({ target, guard, actions, description }) =>
      [guard && `[${guard}]`, target ? `→ ${target}` : `/ ${actions.join(', ')}`, description].filter(Boolean).join(' '),
    )
    .join('\n');
}

function problemOf(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? undefined : 'A payload is a JSON object.';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
