import type { CentreTab } from '../app/controller.ts';
import { kindOf } from '../run/meaning.ts';
import type { ActorView } from '../run/view.ts';
import { ChartView } from './chart-view.tsx';
import { useChosen, useController, useMoment, usePage } from './hooks.ts';
import { shortId } from './format.ts';
import { SequenceView } from './sequence-view.tsx';
import { Tabs } from './tabs.tsx';

const tabs: readonly { readonly id: CentreTab; readonly label: string }[] = [
  { id: 'session', label: 'Session' },
  { id: 'pool', label: 'Pool' },
  { id: 'server', label: 'Server' },
  { id: 'sequence', label: 'Sequence' },
];

/** The middle of the page: a chart with what is active in it, or the sequence diagram. */
export function ChartPanel() {
  const controller = useController();
  const { choice, charts } = usePage();
  const { view, counts } = useMoment();
  const chosen = useChosen();
  const kind = choice.centre === 'sequence' ? 'session' : choice.centre;
  const chart = charts[kind];
  const actor = kind === 'session' ? sessionOf(chosen) : view[kind];
  const taken = chart.model.transitions.filter(({ id }) => (counts.get(id) ?? 0) > 0).length;
  return (
    <section className="panel chart-panel" aria-label="Charts">
      <div className="panel-head">
        <Tabs
          label="What is drawn"
          tabs={tabs}
          chosen={choice.centre}
          onChoose={(centre) => controller.choose({ centre })}
          controls="centre"
        />
        <span className="spacer" />
        {choice.centre !== 'sequence' && (
          <>
            {actor && (
              <span className="muted chart-of" data-testid="chart-of">
                {shortId(actor.id)} <b>{actor.path}</b>
              </span>
            )}
            <label className="switch" title="Which transitions this run took, and how often">
              <input
                type="checkbox"
                checked={choice.coverage}
                onChange={(event) => controller.choose({ coverage: event.target.checked })}
              />
              Coverage {taken}/{chart.model.transitions.length}
            </label>
          </>
        )}
      </div>
      <div id="centre" role="tabpanel" className="centre" aria-label={tabs.find(({ id }) => id === choice.centre)?.label}>
        {choice.centre === 'sequence' ? (
          <SequenceView />
        ) : (
          <ChartView key={chart.model.id} chart={chart} actor={actor} counts={choice.coverage ? counts : undefined} />
        )}
      </div>
    </section>
  );
}

function sessionOf(chosen: ActorView | undefined): ActorView | undefined {
  return chosen && kindOf(chosen.id) === 'session' ? chosen : undefined;
}
