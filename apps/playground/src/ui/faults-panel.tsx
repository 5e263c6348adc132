import type { Fault } from '../app/simulation.ts';
import { useChosen, useController, useMoment, usePage } from './hooks.ts';

const weather: readonly { readonly id: Fault; readonly label: string; readonly what: string }[] = [
  { id: 'rateLimited', label: '429 storm', what: 'The provider answers 429 to every new turn.' },
  { id: 'quotaSpent', label: 'Quota spent', what: 'With the storm: the second wait is a day long.' },
  { id: 'slow', label: 'Slow model', what: 'New turns take six times as long.' },
  { id: 'asks', label: 'Permission asks', what: 'Every new turn asks for a permission.' },
  { id: 'subAgents', label: 'Sub-agents', what: 'Every new turn hands work to a sub-agent.' },
  { id: 'neverIdle', label: 'Never idle', what: 'No event says that a session is idle; its reads do.' },
  { id: 'deafToAborts', label: 'Deaf to aborts', what: 'No abort ends a tool of a new turn.' },
  { id: 'refuseSessions', label: 'Refuse sessions', what: 'New sessions fail: the restart budget pays.' },
  { id: 'failingStarts', label: 'Failing starts', what: 'A server that is to take the place of another ends at its start.' },
  { id: 'growingMemory', label: 'Growing memory', what: "The server's memory grows until another one takes its place." },
];

/** What may go wrong, and how to make it right again. */
export function FaultsPanel() {
  const { simulation } = useController();
  return simulation ? <SimulatedFaults /> : <LiveFaults />;
}

function SimulatedFaults() {
  const { simulation } = useController();
  const { following } = useMoment();
  const chosen = useChosen();
  usePage();
  if (!simulation) return null;
  const { run } = simulation;
  const isSession = chosen !== undefined && chosen.id !== 'pool' && chosen.id !== 'server';
  return (
    <fieldset className="faults" disabled={!following}>
      <legend className="visually-hidden">Faults</legend>
      <div className="actions">
        <button type="button" onClick={() => simulation.toggle('cutStream')}>
          Drop the stream
        </button>
        <button type="button" className="danger" onClick={() => simulation.toggle('killServer')} disabled={simulation.isOn('killServer')}>
          Kill the server
        </button>
        <button type="button" onClick={() => simulation.toggle('rotateServer')}>
          Rotate the server
        </button>
        <button
          type="button"
          onClick={() => chosen && simulation.send(chosen.id, 'turn.abort', { reason: 'Aborted on the page.' })}
          disabled={!isSession}
        >
          Abort the chosen turn
        </button>
        <button type="button" onClick={() => run.answerAsks()}>
          Answer all asks
        </button>
        <button type="button" onClick={() => run.queueTasks(1)}>
          Queue a task
        </button>
        <button type="button" onClick={() => run.queueTasks(10)}>
          Queue ten tasks
        </button>
      </div>
      <ul>
        {weather.map(({ id, label, what }) => (
          <li key={id}>
            <label>
              <input type="checkbox" checked={simulation.isOn(id)} onChange={() => simulation.toggle(id)} />
              <span>
                <b>{label}</b> <span className="muted">{what}</span>
              </span>
            </label>
          </li>
        ))}
      </ul>
      {!following && <p className="muted">You look at an earlier moment. Press Now to go on.</p>}
    </fieldset>
  );
}

interface LiveFault {
  readonly door: string;
  readonly actor: string;
  readonly type: string;
  readonly label: string;
  readonly what: string;
}

const liveFaults: readonly LiveFault[] = [
  {
    door: 'session stream.gap',
    actor: 'stream',
    type: 'stream.gap',
    label: 'Cut the event stream',
    what: 'Every session reconciles when it is back.',
  },
  {
    door: 'server server.lost',
    actor: 'server',
    type: 'server.lost',
    label: 'Kill the server',
    what: 'SIGKILL. It is started again within the budget; each turn is judged by what it left.',
  },
  {
    door: 'server rotation.wanted',
    actor: 'server',
    type: 'rotation.wanted',
    label: 'Rotate the server',
    what: 'The next generation takes over; this one finishes its turns.',
  },
];

/** Faults of a real run: the real server is what suffers them. */
function LiveFaults() {
  const controller = useController();
  const { info } = usePage();
  const { following } = useMoment();
  return (
    <fieldset className="faults" disabled={!following}>
      <legend className="visually-hidden">Faults</legend>
      <ul>
        {liveFaults
          .filter(({ door }) => info.doors?.includes(door))
          .map(({ door, actor, type, label, what }) => (
            <li key={door}>
              <button type="button" className="danger" onClick={() => void controller.send(actor, type, {})}>
                {label}
              </button>{' '}
              <span className="muted">{what}</span>
            </li>
          ))}
      </ul>
    </fieldset>
  );
}
