import type { RunRecord } from '../trace/format.ts';
import { routeOf } from '../run/meaning.ts';
import { eventName, formatMoment, inline, shortId } from './format.ts';
import { useController } from './hooks.ts';

interface RecordDetailProps {
  readonly record: RunRecord;
  readonly startMs: number;
  readonly onClose: () => void;
}

/** One event: its payload, the transitions it took, and what of the context it changed. */
export function RecordDetail({ record, startMs, onClose }: RecordDetailProps) {
  const controller = useController();
  const { changes = [], transitions = [], effects = [] } = record;
  const { from, to } = routeOf(record);
  return (
    <aside className="detail" aria-label="Event details" data-testid="detail">
      <header>
        <h3>{eventName(record.type)}</h3>
        <span className="muted">
          {shortId(record.actor)} · {formatMoment(record.atMs, startMs)} · {from} to {to}
        </span>
        <button type="button" onClick={() => controller.store.moveTo(controller.store.indexOf(record.seq))}>
          Go to this moment
        </button>
        <button type="button" onClick={onClose} aria-label="Close">
          ×
        </button>
      </header>
      {transitions.length > 0 && (
        <p className="muted">
          Transitions:{' '}
          {transitions
            .map((transition) => transition.split('|'))
            .map(([source, event]) => `${source} on ${event === '' ? 'always' : eventName(event ?? '')}`)
            .join(', then ')}
          {effects.length > 0 && `; asked for ${effects.join(', ')}`}
        </p>
      )}
      {record.payload !== undefined && <pre tabIndex={0}>{JSON.stringify(record.payload, null, 2)}</pre>}
      {changes.length > 0 && (
        <table className="changes">
          <caption>Changes of the context</caption>
          <tbody>
            {changes.slice(0, 60).map(({ path, before, after }) => (
              <tr key={path}>
                <th scope="row">{path === '' ? 'context' : path}</th>
                <td className="before">{inline(before, 60)}</td>
                <td className="after">{inline(after, 90)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </aside>
  );
}
