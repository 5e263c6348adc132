import { useEffect, useMemo, useState } from 'react';
import { enabledEvents, type EnabledEvent } from '../app/enabled.ts';
import { templateOf } from '../app/templates.ts';
import type { ActorView } from '../run/view.ts';
import type { Json } from '../trace/format.ts';
import { shortId } from './format.ts';
import { useChosen, useController, useMoment, usePage } from './hooks.ts';

/** What a live run can really be told, beside answers to asks; everything else is the server's to say. */
const liveEvents: ReadonlySet<string> = new Set(['turn.abort', 'stream.gap']);

/** The events that the chosen actor would react to now, each with a payload that can be edited. */
export function SendBox() {
  const { info, charts } = usePage();
  const { following } = useMoment();
  const actor = useChosen();
  const events = useMemo(() => (actor ? enabledEvents(charts, actor) : []), [charts, actor?.id, actor?.path]);
  if (!actor) return <p className="empty">No session yet.</p>;
  const possible = info.mode === 'live' ? events.filter(({ type }) => liveEvents.has(type)) : events;
  return (
    <div className="send-box">
      <p className="actor-line">
        To <b>{shortId(actor.id)}</b>, in <b data-testid="chosen-path">{actor.path}</b>
      </p>
      {info.mode === 'live' && <LiveAsks actor={actor} />}
      {events.length === 0 && <p className="empty">This state takes no events: it is final.</p>}
      {info.mode === 'simulation' || (info.mode === 'live' && info.control) ? (
        <Sender actor={actor} events={possible} disabled={!following} />
      ) : (
        <ReadOnly events={events} mode={info.mode} />
      )}
      {!following && <p className="muted">You look at an earlier moment. Press Now to send.</p>}
    </div>
  );
}

interface SenderProps {
  readonly actor: ActorView;
  readonly events: readonly EnabledEvent[];
  readonly disabled: boolean;
}

function Sender({ actor, events, disabled }: SenderProps) {
  const controller = useController();
  const [type, setType] = useState('');
  const [text, setText] = useState('');
  const known = events.some((event) => event.type === type);
  useEffect(() => {
    if (!known) setType('');
  }, [known]);
  const choose = (event: EnabledEvent) => {
    setType(event.type);
    setText(
      JSON.stringify(event.isDelay ? {} : templateOf(actor.id, event.type, { nowMs: nowOf(controller), context: actor.context }), null, 2),
    );
  };
  const problem = known ? problemOf(text) : undefined;
  const send = () => {
    if (problem === undefined) void controller.send(actor.id, type, JSON.parse(text) as Json);
  };
  return (
    <>
      <div className="event-buttons" role="group" aria-label="Events that are possible now">
        {events.map((event) => (
          <button
            key={event.type}
            type="button"
            disabled={disabled}
            aria-pressed={event.type === type}
            data-delay={event.isDelay}
            onClick={() => choose(event)}
            title={titleOf(event)}
          >
            {event.label}
          </button>
        ))}
      </div>
      {known && (
        <div className="editor">
          <label>
            Payload of <b>{events.find((event) => event.type === type)?.label}</b>
            <textarea
              value={text}
              spellCheck={false}
              rows={Math.min(12, text.split('\n').length + 1)}
              onChange={(event) => setText(event.target.value)}
              aria-invalid={problem !== undefined}
              data-testid="payload"
            />
          </label>
          {problem !== undefined && <p className="problem">{problem}</p>}
          <button type="button" className="primary" onClick={send} disabled={disabled || problem !== undefined} data-testid="send">
            Send
          </button>
        </div>
      )}
    </>
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

function ReadOnly({ events, mode }: { readonly events: readonly EnabledEvent[]; readonly mode: string }) {
  return (
    <>
      <p className="muted">
        {mode === 'live'
          ? 'This run cannot be controlled from here: it was started without --allow-control.'
          : 'A recorded run takes no events.'}{' '}
        It would react to:
      </p>
      <ul className="event-list">
        {events.map((event) => (
          <li key={event.type}>
            <code>{event.label}</code>
          </li>
        ))}
      </ul>
    </>
  );
}

interface OpenAsk {
  readonly id: string;
  readonly kind: string;
  readonly permission?: string;
  readonly patterns?: readonly string[];
}

/** Asks that wait for an answer, with the two answers there are. `always` is never offered: it would count for every session. */
function LiveAsks({ actor }: { readonly actor: ActorView }) {
  const controller = useController();
  const { info } = usePage();
  const asks = (actor.context as { openAsks?: readonly OpenAsk[] } | undefined)?.openAsks ?? [];
  const answer = (id: string, allow: boolean) => void controller.send(actor.id, 'ask.closed', { id, allow });
  return asks.map(({ id, kind, permission, patterns = [] }) => (
    <div key={id} className="ask" role="group" aria-label="An ask waits for an answer">
      <p>
        {kind === 'permission' ? 'Permission' : 'Question'} <b>{permission ?? ''}</b>{' '}
        {patterns.map((pattern) => (
          <code key={pattern}>{pattern}</code>
        ))}
      </p>
      {info.control && (
        <div className="actions">
          <button type="button" className="primary" onClick={() => answer(id, true)} data-testid="allow" disabled={kind !== 'permission'}>
            Allow once
          </button>
          <button type="button" onClick={() => answer(id, false)} data-testid="deny">
            Deny
          </button>
        </div>
      )}
    </div>
  ));
}
