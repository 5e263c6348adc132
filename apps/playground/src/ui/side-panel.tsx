import type { SideTab } from '../app/controller.ts';
import { FaultsPanel } from './faults-panel.tsx';
import { useChosen, useController, useMoment, usePage } from './hooks.ts';
import { SendBox } from './send-box.tsx';
import { formatDuration, shortId } from './format.ts';
import { Story } from './story.tsx';
import { Tabs } from './tabs.tsx';

/** The right side: what may be sent, what may go wrong, and what the chosen actor knows. */
export function SidePanel() {
  const controller = useController();
  const { choice, info } = usePage();
  const tabs: { readonly id: SideTab; readonly label: string }[] = [{ id: 'send', label: 'Send' }];
  if (info.mode === 'simulation' || (info.mode === 'live' && info.control)) tabs.push({ id: 'faults', label: 'Faults' });
  tabs.push({ id: 'context', label: 'Context' });
  const side = tabs.some(({ id }) => id === choice.side) ? choice.side : 'context';
  return (
    <section className="panel side-panel" aria-label="Actor">
      <Story />
      <div className="panel-head">
        <Tabs label="About the chosen actor" tabs={tabs} chosen={side} onChoose={(id) => controller.choose({ side: id })} controls="side" />
      </div>
      <div id="side" role="tabpanel" className="side" aria-label={tabs.find(({ id }) => id === side)?.label} tabIndex={0}>
        {side === 'send' && <SendBox />}
        {side === 'faults' && <FaultsPanel />}
        {side === 'context' && <ContextView />}
      </div>
    </section>
  );
}

/** The whole context of the chosen actor, as it was at the moment. */
function ContextView() {
  const actor = useChosen();
  const { view } = useMoment();
  if (!actor) return <p className="empty">No session yet.</p>;
  return (
    <>
      <p className="actor-line">
        <b>{shortId(actor.id)}</b> in <b data-testid="chosen-path">{actor.path}</b> for{' '}
        {formatDuration(Math.max(0, view.atMs - actor.sinceMs))}
        {actor.directory !== '' && <span className="muted"> · {actor.directory}</span>}
      </p>
      <pre className="context" data-testid="context">
        {JSON.stringify(actor.context ?? {}, null, 2)}
      </pre>
    </>
  );
}
