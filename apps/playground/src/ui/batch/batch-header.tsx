import type { BatchHead } from '../../batch/format.ts';
import type { BatchCriteria, BatchTotals } from '../../batch/order.ts';
import type { BatchMoment } from '../../batch/store.ts';
import { whyNothingStarts, type PoolSays } from '../../batch/why.ts';
import { plain, standingWords } from '../../batch/words.ts';
import { formatAge, formatCost, formatCount } from '../format.ts';

interface BatchHeaderProps {
  readonly moment: BatchMoment;
  readonly totals: BatchTotals;
  readonly pool: PoolSays | undefined;
  readonly nowMs: number;
  readonly criteria: BatchCriteria;
  readonly onCriteria: (criteria: BatchCriteria) => void;
}

/** The run as a whole: how it stands, what it used, why nothing starts, and the filters of its tasks. */
export function BatchHeader({ moment, totals, pool, nowMs, criteria, onCriteria }: BatchHeaderProps) {
  const { head, rows, problem } = moment;
  const why = head ? whyNothingStarts(head, rows, pool, nowMs) : null;
  return (
    <section className="panel batch-head" aria-labelledby="batch-title">
      <div className="batch-line">
        <h2 id="batch-title">{head?.id ?? 'Run'}</h2>
        {head && (
          <span className="standing" data-standing={head.endedBecause === 'done' ? 'done' : head.standing} data-testid="standing">
            {standingWords(head)}
          </span>
        )}
        <Figures head={head} totals={totals} nowMs={nowMs} />
      </div>
      <Progress totals={totals} />
      <p className="why" role="status" data-testid="why" data-kind={problem === null ? why?.kind : 'problem'}>
        {problem ?? why?.text}
      </p>
      <Filters totals={totals} criteria={criteria} onCriteria={onCriteria} />
    </section>
  );
}

function Figures({ head, totals, nowMs }: { readonly head: BatchHead | undefined; readonly totals: BatchTotals; readonly nowMs: number }) {
  const { tokens, costUsd, isCostPartial } = totals;
  const untilMs = head?.standing === 'live' ? nowMs : (head?.lastAtMs ?? 0);
  return (
    <dl className="figures" data-testid="figures">
      <div>
        <dt>tokens</dt>
        <dd>{formatCount(tokens)}</dd>
      </div>
      <div>
        <dt>cost</dt>
        <dd title={isCostPartial ? 'The price of some tasks is not known' : undefined}>
          {isCostPartial && costUsd > 0 && 'at least '}
          {formatCost(isCostPartial && costUsd === 0 ? null : costUsd)}
        </dd>
      </div>
      <div>
        <dt>time</dt>
        <dd>{head ? formatAge(untilMs - head.createdAtMs) : ''}</dd>
      </div>
    </dl>
  );
}

/** Succeeded, failed and in flight, as parts of all. */
function Progress({ totals: { states, total } }: { readonly totals: BatchTotals }) {
  const count = (state: string) => states.get(state) ?? 0;
  const [succeeded, running] = [count('succeeded'), count('running')];
  const open = count('not_started') + count('waiting') + count('interrupted') + running;
  const other = total - succeeded - open;
  const share = (part: number) => `${total === 0 ? 0 : (part / total) * 100}%`;
  const text = `${succeeded} of ${total} succeeded, ${other} otherwise, ${running} in flight`;
  return (
    <div className="progress" role="img" aria-label={text} title={text}>
      <span data-part="succeeded" style={{ width: share(succeeded) }} />
      <span data-part="other" style={{ width: share(other) }} />
      <span data-part="running" style={{ width: share(running) }} />
    </div>
  );
}

type FiltersProps = Pick<BatchHeaderProps, 'totals' | 'criteria' | 'onCriteria'>;

function Filters({ totals: { states, total }, criteria, onCriteria }: FiltersProps) {
  const present = [...states.keys(), ...(criteria.state === null || states.has(criteria.state) ? [] : [criteria.state])];
  const choose = (state: string | null) => onCriteria({ ...criteria, state });
  return (
    <div className="batch-filters">
      <input
        type="search"
        placeholder="task or error"
        aria-label="Filter tasks by key or error"
        value={criteria.text}
        onChange={(event) => onCriteria({ ...criteria, text: event.target.value })}
      />
      <div className="chips" role="group" aria-label="Filter tasks by state">
        <Chip text="all" count={total} isChosen={criteria.state === null} onChoose={() => choose(null)} />
        {present.toSorted().map((state) => (
          <Chip
            key={state}
            state={state}
            text={plain(state)}
            count={states.get(state) ?? 0}
            isChosen={criteria.state === state}
            onChoose={() => choose(criteria.state === state ? null : state)}
          />
        ))}
      </div>
    </div>
  );
}

interface ChipProps {
  readonly state?: string;
  readonly text: string;
  readonly count: number;
  readonly isChosen: boolean;
  readonly onChoose: () => void;
}

function Chip({ state, text, count, isChosen, onChoose }: ChipProps) {
  return (
    <button type="button" className="chip" data-state={state} aria-pressed={isChosen} onClick={onChoose}>
      {text} <b>{formatCount(count)}</b>
    </button>
  );
}
