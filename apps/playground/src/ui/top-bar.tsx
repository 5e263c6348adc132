import { useRef, useState } from 'react';
import type { Choice, ViewTab } from '../app/controller.ts';
import { chartToMermaid } from '../chart/mermaid.ts';
import type { Charts } from '../chart/shipped.ts';
import { chartToSvg } from '../chart/svg.ts';
import type { RunInfo } from '../trace/format.ts';
import { scenarios } from '../simulation/scenarios.ts';
import { download } from './format.ts';
import { useController, usePage } from './hooks.ts';
import { Tabs } from './tabs.tsx';

const modes = { simulation: 'Simulation', live: 'Live', trace: 'Trace', run: 'Run' } as const;
const linkTexts = { connecting: 'connecting', connected: 'connected', lost: 'reconnecting', ended: 'run ended' } as const;

export function TopBar() {
  const { info, link, reconnects } = usePage();
  return (
    <header className="top-bar">
      <h1>
        <span className="mark" aria-hidden="true" />
        opencode-manager <span className="muted">playground</span>
      </h1>
      <span className="badge" data-mode={info.mode} data-testid="mode" data-reconnects={reconnects}>
        {modes[info.mode]}
        {link !== null && ` · ${linkTexts[link]}`}
      </span>
      {info.mode !== 'simulation' && info.mode !== 'run' && <span className="muted title-text">{info.title}</span>}
      {info.mode === 'live' && info.batch && <ViewTabs />}
      <ScenarioChoice />
      <span className="spacer" />
      <OpenTrace />
      {info.mode !== 'run' && <ExportMenu />}
      <ThemeButton />
    </header>
  );
}

const views: readonly { readonly id: ViewTab; readonly label: string }[] = [
  { id: 'batch', label: 'Batch' },
  { id: 'sessions', label: 'Sessions' },
];

function ViewTabs() {
  const controller = useController();
  const { choice } = usePage();
  return <Tabs label="What is shown" tabs={views} chosen={choice.view} onChoose={(view) => controller.choose({ view })} controls="view" />;
}

/** Only these give way to another run. */
function isReplaceable({ mode }: RunInfo): boolean {
  return mode === 'simulation' || mode === 'trace';
}

function ScenarioChoice() {
  const controller = useController();
  usePage();
  const { simulation } = controller;
  if (!isReplaceable(controller.state.info)) return null;
  return (
    <label className="scenario">
      <span className="muted">Scenario</span>
      <select value={simulation?.scenario.id ?? ''} onChange={(event) => controller.simulate(event.target.value)} data-testid="scenario">
        {!simulation && <option value="">choose to simulate</option>}
        {scenarios.map(({ id, title }) => (
          <option key={id} value={id}>
            {title}
          </option>
        ))}
      </select>
      {simulation && (
        <button type="button" onClick={() => controller.simulate(simulation.scenario.id)} title="Start this scenario again">
          Restart
        </button>
      )}
    </label>
  );
}

function OpenTrace() {
  const controller = useController();
  const input = useRef<HTMLInputElement>(null);
  if (!isReplaceable(controller.state.info)) return null;
  return (
    <>
      <button type="button" onClick={() => input.current?.click()} title="Or drop a trace file on the page">
        Open trace
      </button>
      <input
        ref={input}
        type="file"
        accept=".jsonl,.json"
        hidden
        data-testid="trace-file"
        aria-label="Trace file"
        onChange={(event) => {
          const [file] = event.target.files ?? [];
          if (file) void file.text().then((text) => controller.openTrace(text));
          event.target.value = '';
        }}
      />
    </>
  );
}

function ExportMenu() {
  const controller = useController();
  const [value] = useState('');
  const save: Readonly<Record<string, () => void>> = {
    trace: () => download('trace.jsonl', controller.traceText(), 'application/jsonl'),
    svg: () =>
      download(
        `${chartOf(controller.state).model.id}.svg`,
        chartToSvg(chartOf(controller.state), controller.store.moment().counts),
        'image/svg+xml',
      ),
    mermaid: () => download(`${chartOf(controller.state).model.id}.mmd`, chartToMermaid(chartOf(controller.state).model), 'text/plain'),
  };
  return (
    <select aria-label="Export" value={value} onChange={(event) => save[event.target.value]?.()} data-testid="export">
      <option value="">Export…</option>
      <option value="trace">Run as a trace file</option>
      <option value="svg">Chart as SVG</option>
      <option value="mermaid">Chart as Mermaid</option>
    </select>
  );
}

function chartOf({ charts, choice }: { readonly charts: Charts; readonly choice: Pick<Choice, 'centre'> }) {
  return charts[choice.centre === 'sequence' ? 'session' : choice.centre];
}

function ThemeButton() {
  const [theme, setTheme] = useState(() => (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'));
  const next = theme === 'dark' ? 'light' : 'dark';
  const toggle = () => {
    document.documentElement.dataset['theme'] = next;
    setTheme(next);
  };
  return (
    <button type="button" onClick={toggle} aria-label={`Use the ${next} theme`} data-testid="theme">
      {next === 'dark' ? 'Dark' : 'Light'}
    </button>
  );
}
