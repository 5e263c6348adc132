import { directories } from '../link/server-port.ts';
import type { Randomness } from '../world/randomness.ts';
import { points, type Action, type TaskPlan, type TurnScript, type When } from './types.ts';

/** What users do in a world of so many tasks. */
export function drawActions(random: Randomness, count: number, scripts: readonly TurnScript[]): Action[] {
  const actions: Action[] = [];
  const spreadMs = count * 400;
  const tasks = Array.from({ length: count }, (_, index) => drawTask(random.of(`task ${index}`), index, scripts));
  const leased = random.of('leases').chance(0.35) ? random.of('leased').whole(1, Math.min(3, count)) : 0;
  for (const [index, task] of tasks.entries()) {
    const chance = random.of(`action ${index}`);
    const when: When = { atMs: Math.round(3000 + chance.between(0, spreadMs)) };
    if (index < leased) actions.push(...drawLease(chance, `L${index}`, task, when, scripts));
    else actions.push({ do: 'run', when, key: `T${index}`, task });
    if (index >= leased && chance.chance(0.2)) actions.push({ do: 'abort', when: drawWhen(chance, spreadMs), key: `T${index}` });
  }
  if (random.of('all').chance(0.12)) {
    actions.push(drawRunAll(random.of('run all'), scripts));
    const chance = random.of('abort all');
    if (chance.chance(0.5)) actions.push({ do: 'abort', when: drawWhen(chance, 6000), key: 'A' });
  }
  actions.push(...drawAfterthoughts(random, spreadMs, scripts));
  for (const what of ['rotate', 'drain', 'stop', 'cleanup'] as const) {
    const chance = random.of(what);
    if (chance.chance(0.08)) actions.push({ do: what, when: drawWhen(chance, spreadMs) });
  }
  return actions;
}

function drawTask(random: Randomness, index: number, scripts: readonly TurnScript[]): TaskPlan {
  const script = index < scripts.length ? index : random.whole(0, scripts.length - 1);
  // What ignores an abort is to be aborted.
  const isDeaf = ignoresAbort(scripts[script]!) && random.chance(0.7);
  const kind = random.weighted({ prompt: 90, shell: 6, command: 4 });
  return {
    script,
    ...(kind !== 'prompt' && { kind }),
    ...(random.chance(0.35) && { provider: 'beta' as const }),
    ...(random.chance(0.4) && { directory: random.pick(directories) }),
    ...(random.chance(0.03) && { directory: '/srv/nowhere' }),
    ...((isDeaf || random.chance(0.1)) && { timeoutMs: isDeaf ? random.whole(400, 1500) : random.whole(50, 20_000) }),
    ...(random.chance(0.2) && { priority: random.whole(-1, 1) }),
    ...(random.chance(0.2) && { group: random.pick(['a', 'b']) }),
    ...(random.chance(0.1) && { emptyAnswer: true }),
    ...(random.chance(0.12) && { steps: random.whole(1, 4) }),
  };
}

/** Whether a tool of a turn does not end with the first signal, and by itself. */
function ignoresAbort({ steps }: TurnScript): boolean {
  return steps.some(({ tools = [] }) => tools.some((tool) => tool.ignoresAbort !== undefined && !tool.hangs));
}

function drawLease(random: Randomness, lease: string, task: TaskPlan, when: When, scripts: readonly TurnScript[]): Action[] {
  const { directory, ...turn } = task;
  const begin: Action = { do: 'lease', when, key: lease, how: random.chance(0.8) ? 'create' : 'idle', ...(directory && { directory }) };
  const atMs = 'atMs' in when ? when.atMs : 0;
  const later = (most: number): When =>
    random.chance(0.3) ? drawWhen(random, 2000) : { atMs: atMs + Math.round(random.between(1, most)) };
  const prompts = Array.from({ length: random.whole(1, 3) }, (_, index): Action => {
    const own = index === 0 ? turn : { ...turn, script: random.whole(0, scripts.length - 1) };
    return { do: 'prompt', when: later(3000), lease, key: `${lease}.${index}`, task: own };
  });
  const ends: Action[] = [];
  if (random.chance(0.3)) ends.push({ do: 'abortLease', when: later(4000), lease });
  if (random.chance(0.2)) ends.push({ do: 'alive', when: later(4000), lease });
  if (ignoresAbort(scripts[task.script]!) && random.chance(0.5)) ends.push({ do: 'delete', when: later(6000), lease });
  else if (random.chance(0.8)) ends.push({ do: random.chance(0.6) ? 'release' : 'delete', when: later(8000), lease });
  return [begin, ...prompts, ...ends];
}

function drawRunAll(random: Randomness, scripts: readonly TurnScript[]): Action {
  const tasks = Array.from({ length: random.whole(2, 5) }, (_, index) =>
    drawTask(random.of(`${index}`), random.whole(0, scripts.length - 1), scripts),
  );
  return {
    do: 'runAll',
    when: { atMs: 3000 + random.whole(0, 1000) },
    key: 'A',
    tasks,
    ...(random.chance(0.4) && { leaveAfter: random.whole(1, 2) }),
  };
}

/** What comes after something else has ended the work: a second abort, a task for a pool that drains, a stop beside a drain. */
function drawAfterthoughts(random: Randomness, spreadMs: number, scripts: readonly TurnScript[]): Action[] {
  const actions: Action[] = [];
  const again = random.of('abort again');
  for (const key of ['T0', 'T1']) if (again.chance(0.08)) actions.push({ do: 'abort', when: drawWhen(again, spreadMs), key });
  const late = random.of('late');
  if (!late.chance(0.12)) return actions;
  const atMs = Math.round(3000 + late.between(0, spreadMs));
  const after = (): When => ({ atMs: atMs + late.whole(1, 5000) });
  actions.push({ do: 'drain', when: { atMs } });
  if (late.chance(0.5)) actions.push({ do: 'run', when: after(), key: 'T90', task: drawTask(late.of('task'), 90, scripts) });
  if (late.chance(0.4)) actions.push({ do: 'abort', when: after(), key: 'T0' });
  if (late.chance(0.4)) actions.push({ do: 'stop', when: after() });
  return actions;
}

/** A moment: half of them right after something happened. */
export function drawWhen(random: Randomness, spreadMs: number): When {
  if (random.chance(0.5)) return { atMs: Math.round(3000 + random.between(0, spreadMs + 3000)) };
  return { point: random.pick(points), nth: random.whole(1, 3), afterMs: random.pick([0, 0, 1, 5, 20, 200]) };
}
