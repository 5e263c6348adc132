import { useController, useMoment, usePage } from './hooks.ts';

/** What the scenario says of this moment. */
export function Story() {
  const { simulation } = useController();
  usePage();
  const { view, following } = useMoment();
  if (!simulation) return null;
  const { scenario, run } = simulation;
  const atMs = following ? simulation.nowMs : view.atMs;
  const caption = run.captions.findLast((one) => one.atMs <= atMs);
  return (
    <div className="story">
      <h2>{scenario.title}</h2>
      <p className="muted">{scenario.story}</p>
      <p className="caption" aria-live="polite" data-testid="caption">
        {caption?.text}
      </p>
    </div>
  );
}
