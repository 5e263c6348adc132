import { useEffect, useState, type DragEvent } from 'react';
import { BatchView } from './batch/batch-view.tsx';
import { ChartPanel } from './chart-panel.tsx';
import { useController, usePage } from './hooks.ts';
import { LogPanel } from './log-panel.tsx';
import { PoolPanel } from './pool-panel.tsx';
import { SessionGrid } from './session-grid.tsx';
import { SidePanel } from './side-panel.tsx';
import { Timeline } from './timeline.tsx';
import { TopBar } from './top-bar.tsx';

/** The page. */
export function App() {
  const controller = useController();
  const { notice, choice, info } = usePage();
  const [dragging, setDragging] = useState(false);
  useShortcuts();
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    setDragging(false);
    const [file] = event.dataTransfer.files;
    if (file) void file.text().then((text) => controller.openTrace(text));
  };
  const onDragOver = (event: DragEvent) => {
    event.preventDefault();
    setDragging(true);
  };
  return (
    <div className="page" onDrop={onDrop} onDragOver={onDragOver} onDragLeave={() => setDragging(false)} data-dragging={dragging}>
      <TopBar />
      {notice !== null && (
        <p className="notice" role="alert">
          {notice}
          <button type="button" onClick={() => controller.notify(null)}>
            Dismiss
          </button>
        </p>
      )}
      {controller.batch && (choice.view === 'batch' || info.mode === 'run') ? <BatchView batch={controller.batch} /> : <SessionsView />}
    </div>
  );
}

/** The machines of a run, at any moment of it. */
function SessionsView() {
  return (
    <main className="workspace" id="view">
      <div className="column-left">
        <PoolPanel />
        <SessionGrid />
      </div>
      <ChartPanel />
      <SidePanel />
      <div className="row-bottom">
        <Timeline />
        <LogPanel />
      </div>
    </main>
  );
}

/** Space plays and pauses, `.` steps, `l` goes back to the newest moment. */
function useShortcuts(): void {
  const controller = useController();
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey || target.closest('input, textarea, select, button')) return;
      const { simulation, store } = controller;
      if (event.key === ' ' && simulation) {
        event.preventDefault();
        if (simulation.playing) simulation.pause();
        else simulation.play();
      }
      if (event.key === '.') simulation?.step();
      if (event.key === 'l') store.moveTo(null);
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [controller]);
}
