import { useMemo } from 'react';
import type { RecordTag } from '../trace/format.ts';
import type { Mark, Moment } from '../run/store.ts';
import { formatMoment } from './format.ts';
import { useCalmMoment, useController, useMoment, usePage } from './hooks.ts';

const buckets = 160;
const speeds = [0.25, 0.5, 1, 2, 5, 20];

/** Time from the first record to the newest: what came when, and a scrubber over it. */
export function Timeline() {
  const controller = useController();
  const moment = useCalmMoment();
  const { records, end, total, following } = moment;
  const startMs = records[0]?.atMs ?? 0;
  const lastMs = records[total - 1]?.atMs ?? startMs;
  const shownMs = following ? lastMs : (records[Math.max(0, end - 1)]?.atMs ?? startMs);
  return (
    <section className="panel timeline" aria-label="Timeline">
      <Transport />
      <div className="track">
        <Density moment={moment} startMs={startMs} lastMs={lastMs} />
        <input
          type="range"
          min={0}
          max={total}
          value={end}
          step={1}
          aria-label="Moment of the run"
          aria-valuetext={`${formatMoment(shownMs, startMs)}, record ${end} of ${total}`}
          data-testid="scrubber"
          onChange={(event) => {
            controller.playback.stop();
            controller.store.moveTo(Number(event.target.value));
          }}
        />
      </div>
      <Jumps moment={moment} />
      <output className="clock" data-testid="clock">
        {formatMoment(shownMs, startMs)}
      </output>
      <button type="button" className="primary" onClick={() => goLive(controller)} disabled={following} data-testid="now">
        Now
      </button>
    </section>
  );
}

function goLive(controller: ReturnType<typeof useController>): void {
  controller.playback.stop();
  controller.store.moveTo(null);
}

/** Play, pause and step the simulated clock; or play recorded moments again. */
function Transport() {
  const controller = useController();
  const { following } = useMoment();
  usePage();
  const { simulation, playback } = controller;
  const drives = simulation !== undefined && following;
  const playing = drives ? simulation.playing : playback.playing;
  const toggle = () => {
    if (drives) return simulation.playing ? simulation.pause() : simulation.play();
    simulation?.pause();
    return playback.playing ? playback.stop() : playback.play();
  };
  const setSpeed = (speed: number) => {
    playback.speed = speed;
    if (simulation) simulation.setSpeed(speed);
    else controller.choose({});
  };
  return (
    <div className="transport">
      <button type="button" onClick={toggle} data-testid="play" title={drives ? 'Space' : 'Plays the records again from here'}>
        {playing ? 'Pause' : drives ? 'Play' : 'Replay'}
      </button>
      {simulation && (
        <button
          type="button"
          onClick={() => simulation.step()}
          disabled={!following}
          data-testid="step"
          title="To the next thing that is due (.)"
        >
          Step
        </button>
      )}
      <select
        aria-label="Speed"
        value={simulation?.speed ?? playback.speed}
        onChange={(event) => setSpeed(Number(event.target.value))}
        data-testid="speed"
      >
        {speeds.map((speed) => (
          <option key={speed} value={speed}>
            {speed}×
          </option>
        ))}
      </select>
    </div>
  );
}

interface DensityProps {
  readonly moment: Moment;
  readonly startMs: number;
  readonly lastMs: number;
}

/**
 * How many records lie in each stretch, and marks for what stands out. Positions count records, as the scrubber does: a
 * wait of a day does not squeeze the rest.
 */
function Density({ moment, startMs, lastMs }: DensityProps) {
  const { records, marks, total } = moment;
  const first = records[0]?.seq ?? 1;
  const bars = useMemo(() => barsOf(records, total), [records, Math.floor(total / 8)]);
  const shown = useMemo(() => thinned(marks, first, total), [marks, marks.length, first, total]);
  return (
    <svg
      className="density"
      viewBox={`0 0 ${buckets} 30`}
      preserveAspectRatio="none"
      aria-hidden="true"
      data-span={Math.round(lastMs - startMs)}
    >
      {bars.map((height, index) => (
        <rect key={index} x={index} y={30 - height} width={0.8} height={height} />
      ))}
      {shown.map(({ x, tag }) => (
        <rect key={`${tag}${x}`} className={`mark-${tag}`} x={x} y={0} width={0.9} height={8} />
      ))}
    </svg>
  );
}

/** Height by how fast records came: the shorter the stretch in time, the higher. */
function barsOf(records: Moment['records'], total: number): number[] {
  if (total < 2) return [];
  const rates = Array.from({ length: buckets }, (_, index) => {
    const from = Math.floor((index / buckets) * (total - 1));
    const to = Math.max(from + 1, Math.floor(((index + 1) / buckets) * (total - 1)));
    const span = records[to]!.atMs - records[from]!.atMs;
    return Math.log2(1 + ((to - from) * 1000) / Math.max(1, span));
  });
  const highest = Math.max(...rates, 1);
  return rates.map((rate) => 2 + (rate / highest) * 22);
}

function thinned(marks: readonly Mark[], first: number, total: number): { readonly x: number; readonly tag: RecordTag }[] {
  const seen = new Map<string, { readonly x: number; readonly tag: RecordTag }>();
  for (const { seq, tag } of marks) {
    const x = Math.round(((seq - first) / Math.max(1, total)) * buckets);
    seen.set(`${tag}${x}`, { x, tag });
  }
  return [...seen.values()];
}

const jumps: readonly { readonly tag: RecordTag; readonly label: string }[] = [
  { tag: 'error', label: 'Errors' },
  { tag: 'ask', label: 'Asks' },
  { tag: 'gap', label: 'Gaps' },
];

/** To the one before the moment that is looked at; from the first on to the last again. */
function Jumps({ moment }: { readonly moment: Moment }) {
  const controller = useController();
  const jump = (tag: RecordTag) => {
    const seqs = moment.marks.filter((mark) => mark.tag === tag).map(({ seq }) => seq);
    const here = moment.records[moment.end - 1]?.seq ?? 0;
    const target = seqs.findLast((seq) => seq < here) ?? seqs.at(-1);
    if (target === undefined) return;
    const record = moment.records[controller.store.indexOf(target) - 1];
    controller.simulation?.pause();
    controller.playback.stop();
    controller.store.moveTo(controller.store.indexOf(target));
    controller.choose({ record: target, ...(record && record.actor !== 'stream' && { actor: record.actor }) });
  };
  return (
    <div className="jumps" role="group" aria-label="Jump back to">
      {jumps.map(({ tag, label }) => {
        const count = moment.marks.reduce((sum, mark) => sum + (mark.tag === tag ? 1 : 0), 0);
        return (
          <button
            key={tag}
            type="button"
            className={`jump mark-${tag}`}
            disabled={count === 0}
            onClick={() => jump(tag)}
            data-testid={`jump-${tag}`}
            title={`Back to the ${tag} before this moment`}
          >
            {label} {count}
          </button>
        );
      })}
    </div>
  );
}
