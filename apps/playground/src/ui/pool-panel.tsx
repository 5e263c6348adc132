import type { Json } from '../trace/format.ts';
import { tone } from './format.ts';
import { useController, useMoment, usePage } from './hooks.ts';

/** Numbers of the pool, in a simulation from the machine's own context, live from the pool's snapshot. */
interface PoolNumbers {
  readonly maxSessions?: number;
  readonly queued?: number;
  readonly active?: number;
  readonly finished?: number;
  readonly restarts?: number;
  readonly gaps?: number;
  readonly outcomes?: Readonly<Record<string, number>>;
  readonly restartTimes?: readonly number[];
  readonly restartLimits?: { readonly maxRestarts?: number; readonly windowMs?: number };
  readonly retrying?: readonly Json[];
}

export function PoolPanel() {
  const controller = useController();
  const { view } = useMoment();
  const { choice } = usePage();
  const numbers = (view.pool?.context ?? {}) as PoolNumbers;
  const slots = numbers.maxSessions ?? 0;
  return (
    <section className="panel pool-panel" aria-labelledby="pool-title">
      <h2 id="pool-title">Pool</h2>
      <div className="lifeline">
        <button
          type="button"
          className={`state ${tone(view.pool?.path ?? '')}`}
          aria-pressed={choice.actor === 'pool'}
          onClick={() => controller.choose({ actor: 'pool', centre: 'pool' })}
          title="Show the pool's chart"
        >
          pool {view.pool?.path ?? 'unknown'}
        </button>
        <span className={`state ${tone(view.server?.path ?? '')}`} data-testid="server-state">
          server {view.server?.path ?? 'unknown'}
        </span>
        <span className={`state ${tone(view.stream?.path ?? '')}`} data-testid="stream-state">
          stream {view.stream?.path ?? 'unknown'}
          {generationOf(view.stream?.context)}
        </span>
      </div>
      <Slots active={numbers.active ?? 0} slots={slots} />
      <dl className="numbers">
        <Figure name="queued" value={numbers.queued} />
        <Figure name="finished" value={numbers.finished} />
        <Figure name="restarts" value={restartsText(numbers)} />
        <Figure name="waiting to retry" value={numbers.retrying?.length} />
        <Figure name="gaps" value={numbers.gaps} />
      </dl>
      <Outcomes outcomes={numbers.outcomes ?? {}} />
    </section>
  );
}

function generationOf(context: Json | undefined): string {
  const generation = (context as { generation?: number } | undefined)?.generation;
  return generation === undefined ? '' : ` · generation ${generation}`;
}

function restartsText({ restarts, restartLimits }: PoolNumbers): string | undefined {
  if (restarts === undefined) return undefined;
  if (restartLimits?.maxRestarts === undefined) return String(restarts);
  return `${restarts} (at most ${restartLimits.maxRestarts} in ${(restartLimits.windowMs ?? 0) / 1000} s)`;
}

function Slots({ active, slots }: { readonly active: number; readonly slots: number }) {
  const share = slots === 0 ? 0 : active / slots;
  return (
    <div className="slots">
      <meter min={0} max={1} value={share} aria-label="Slots in use" />
      <span>
        {active} of {slots} slots in use
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
