import type { ServerContext } from '@opencode-manager/actors/machines';
import type { ActorView } from '../run/view.ts';
import { formatBytes, formatDuration, tone } from './format.ts';
import { useCalmMoment, useController, usePage } from './hooks.ts';

/** The context of the pool's machine as records hold it; one that came late or was recorded by another version may lack parts. */
interface PoolNumbers {
  readonly maxSessions?: number;
  readonly active?: number;
  readonly queued?: number;
  readonly finished?: number;
  readonly outcomes?: Readonly<Record<string, number>>;
  readonly retrying?: readonly unknown[];
  readonly restartLimits?: { readonly maxRestarts: number; readonly windowMs: number };
  readonly restartTimes?: readonly number[];
  /** Of a recording from before each provider had its own. */
  readonly provider?: Gate;
  readonly providers?: readonly Gate[];
}

/** What one provider allows of the pool. */
interface Gate {
  readonly id?: string | null;
  readonly limit: number;
  readonly heldUntilMs: number | null;
}

type ServerNumbers = Partial<ServerContext>;
type StreamNumbers = { readonly generation?: number; readonly gaps?: number };

/** The pool, its server and its stream: what they are in, and what they have left. */
export function PoolPanel() {
  const { view } = useCalmMoment();
  const numbers = (view.pool?.context ?? {}) as PoolNumbers;
  const stream = (view.stream?.context ?? {}) as StreamNumbers;
  const server = (view.server?.context ?? {}) as ServerNumbers;
  const gates = numbers.providers ?? (numbers.provider ? [numbers.provider] : []);
  return (
    <section className="panel pool-panel" aria-labelledby="pool-title">
      <h2 id="pool-title">Pool</h2>
      <div className="lifeline">
        <ActorButton id="pool" actor={view.pool} />
        <ActorButton id="server" actor={view.server} />
        <span className={`state ${tone(view.stream?.path ?? '')}`} data-testid="stream-state">
          stream {view.stream?.path ?? 'unknown'}
          {stream.generation !== undefined && ` · generation ${stream.generation}`}
        </span>
      </div>
      <ServerLine context={server} />
      <Slots active={numbers.active ?? 0} slots={numbers.maxSessions ?? 0} />
      <dl className="numbers">
        <Figure name="queued" value={numbers.queued} />
        <Figure name="finished" value={numbers.finished} />
        <Figure name="gaps" value={stream.gaps} />
        <Figure name="to retry" value={numbers.retrying?.length} />
      </dl>
      <Budgets numbers={numbers} server={server} atMs={view.atMs} />
      {gates.map((gate) => (
        <Breaker key={gate.id ?? ''} gate={gate} maxSessions={numbers.maxSessions ?? 0} atMs={view.atMs} />
      ))}
      <Outcomes outcomes={numbers.outcomes ?? {}} />
    </section>
  );
}

function ActorButton({ id, actor }: { readonly id: 'pool' | 'server'; readonly actor: ActorView | undefined }) {
  const controller = useController();
  const { choice } = usePage();
  return (
    <button
      type="button"
      className={`state ${tone(actor?.path ?? '')}`}
      aria-pressed={choice.actor === id}
      onClick={() => controller.choose({ actor: id, centre: id })}
      title={`Show the ${id}'s chart`}
      data-testid={`${id}-state`}
    >
      {id} {actor?.path ?? 'unknown'}
    </button>
  );
}

function ServerLine({ context }: { readonly context: ServerNumbers }) {
  if (context.generation === undefined) return null;
  const { generation, restarts = 0, rotations = 0, retiring = [], rssBytes, memory } = context;
  const parts = [
    `generation ${generation}`,
    restarts > 0 && `${restarts} restarted`,
    rotations > 0 && `${rotations} rotated`,
    retiring.length > 0 && `retiring ${retiring.join(', ')}`,
    rssBytes != null && `${formatBytes(rssBytes)}${memory ? ` of ${formatBytes(memory.maxBytes)}` : ''}`,
  ];
  return (
    <p className="muted" data-testid="server-line">
      Server {parts.filter((part) => part !== false).join(' · ')}
    </p>
  );
}

function Slots({ active, slots }: { readonly active: number; readonly slots: number }) {
  const share = slots === 0 ? 0 : active / slots;
  return (
    <div className="slots">
      <meter min={0} max={1} value={share} aria-label="Slots in use" />
      <span>
        {active} of {slots} slots
      </span>
    </div>
  );
}

function Figure({ name, value }: { readonly name: string; readonly value: number | string | undefined }) {
  if (value === undefined) return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

interface Moments {
  readonly numbers: PoolNumbers;
  readonly atMs: number;
}

/** Restarts of the window against how many it allows: servers, and sessions that were lost alone. */
function Budgets({
  numbers: { restartLimits, restartTimes = [] },
  server,
  atMs,
}: Moments & { readonly server: ServerNumbers | undefined }) {
  if (restartLimits?.maxRestarts === undefined) return null;
  const { maxRestarts, windowMs } = restartLimits;
  const within = (times: readonly number[]) => times.filter((time) => atMs - time < windowMs).length;
  return (
    <div className="budgets" data-testid="budgets">
      <span className="muted">restarts</span>
      <Budget name="server" used={within(server?.restartTimes ?? [])} of={maxRestarts} windowMs={windowMs} />
      <Budget name="session" used={within(restartTimes)} of={maxRestarts} windowMs={windowMs} />
    </div>
  );
}

interface BudgetProps {
  readonly name: string;
  readonly used: number;
  readonly of: number;
  readonly windowMs: number;
}

/** Larger budgets are told in numbers. */
const mostPips = 5;

function Budget({ name, used, of, windowMs }: BudgetProps) {
  const text = `${used} of ${of} in ${formatDuration(windowMs)}`;
  return (
    <span className="budget" title={`${name} restarts: ${text}`}>
      {name}
      {of > mostPips ? (
        <b>
          {used} of {of}
        </b>
      ) : (
        <span className="pips" role="img" aria-label={`${name} restarts: ${text}`}>
          {Array.from({ length: of }, (_, index) => (
            <span key={index} className="pip" data-used={index < used} />
          ))}
        </span>
      )}
    </span>
  );
}

interface BreakerProps {
  readonly gate: Gate;
  readonly maxSessions: number;
  readonly atMs: number;
}

function Breaker({ gate: { id, heldUntilMs, limit }, maxSessions, atMs }: BreakerProps) {
  const held = heldUntilMs !== null;
  const heldMs = held ? heldUntilMs - atMs : 0;
  const limited = limit < maxSessions;
  return (
    <p className="breaker" data-testid="breaker" data-held={held} data-limited={limited}>
      <span className="muted">provider{id != null && ` ${id}`}</span>
      <span>
        {held ? `held ${formatDuration(Math.max(0, heldMs))}` : 'open'} · {limit} at once
      </span>
    </p>
  );
}

function Outcomes({ outcomes }: { readonly outcomes: Readonly<Record<string, number>> }) {
  const entries = Object.entries(outcomes).filter(([, count]) => count > 0);
  if (entries.length === 0) return null;
  return (
    <ul className="outcomes" aria-label="Outcomes">
      {entries.map(([outcome, count]) => (
        <li key={outcome} data-good={outcome === 'succeeded'}>
          {outcome} <b>{count}</b>
        </li>
      ))}
    </ul>
  );
}
