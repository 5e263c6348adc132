import type { Randomness } from '../world/randomness.ts';
import { drawWhen } from './draw-actions.ts';
import type { Fault } from './types.ts';

const kinds = {
  kill: 6,
  wedge: 4,
  streamFails: 5,
  dispose: 5,
  abortsOutside: 6,
  promptsOutside: 6,
  deletesOutside: 5,
  grows: 5,
  cut: 8,
  silence: 5,
  lag: 7,
  slow: 3,
  startFails: 5,
} as const;

/** What goes wrong with servers and streams. */
export function drawFaults(random: Randomness, [least, most]: readonly [number, number]): Fault[] {
  const faults: Fault[] = [];
  for (let left = random.whole(least, most); left > 0; left -= 1) faults.push(...drawFault(random.of(`fault ${left}`)));
  return faults;
}

function drawFault(random: Randomness): Fault[] {
  const when = drawWhen(random, 4000);
  const what = random.weighted(kinds);
  if (what === 'cut' || what === 'silence')
    return [{ what: 'cut', when, silent: what === 'silence', forMs: random.pick([0, 300, 2000, 30_000, 600_000]) }];
  if (what === 'lag') return [{ what, when, lagMs: random.whole(1100, 4700), forMs: random.whole(1000, 20_000) }];
  if (what === 'slow') return [{ what, when, delayMs: random.whole(1000, 4000), forMs: random.whole(1000, 20_000) }];
  // A start that fails needs one: the server dies, too.
  if (what === 'startFails')
    return [
      { what, when, times: random.pick([1, 1, 2, 5]) },
      { what: 'kill', when },
    ];
  return [{ what, when }];
}
