// Scale by simulation: 10,000 tasks (20,000 on 10,000 sessions) with realistic turns (80 events, 85 % deltas) on 100, 1,000 or 10,000 sessions at once,
// 50,000 events a second or more from a synthetic server, through the real worker, router, actors and pool.
//
//   pnpm bench scale
//
// The cost of an event includes that of the tasks: creating a session, sending the prompt, proving the end. Events and CPU are counted
// from the first end of a turn to the last begin of one: before and after it fewer sessions work. The peer is a loop with a bare actor
// for each session on one thread; `cold memory` says what the machine takes for one read of memory of that size.
import { launchServer } from '@opencode-manager/core';
import {
  bareLoop,
  eventsOfTurn,
  peakMemoryMb,
  processCpuUs,
  readByChanceNs,
  realisticTurn,
  runCase,
  syntheticBinary,
  threadCpuUs,
  watchEventLoop,
  type Metrics,
  type Settings,
} from '@opencode-manager/bench';
import { createSessionPool } from '@opencode-manager/actors';
import { BareActors } from './peers/bare-actors.ts';

/** What a session at work holds in the pool's main thread (docs/decisions/0010). */
const bytesOfSession = 16 * 1024;

/** A frame. */
const groupEveryMs = 16;

await runCase({ pool: poolScale, 'bare actors': bareScale, 'cold memory': coldReads });

/** Tasks as they come; the consumer says when one has ended. */
type Arrivals = AsyncGenerator<{ readonly prompt: string }>;

interface Contender {
  /** Events so far. */
  readonly events: () => number;
  readonly run: (tasks: Arrivals, onEnd: () => void) => Promise<void>;
}

async function poolScale(settings: Settings): Promise<Metrics> {
  await using place = await open(settings);
  await using pool = await createSessionPool({ server: place.server, maxSessions: place.sessions });
  const run = async (tasks: Arrivals, onEnd: () => void) => {
    for await (const { outcome, error } of pool.runAll(tasks)) {
      if (outcome !== 'succeeded') throw new Error(`a task ended as ${outcome}: ${error?.message}`);
      onEnd();
    }
  };
  const metrics = await measure({ events: () => pool.monitor.stats.events, run }, place);
  return { ...metrics, dropped: pool.monitor.stats.dropped, gaps: pool.monitor.gaps };
}

async function bareScale(settings: Settings): Promise<Metrics> {
  await using place = await open(settings);
  const actors = new BareActors();
  await using loop = await bareLoop(place.server, undefined, actors);
  const run = async (tasks: Arrivals, onEnd: () => void) => {
    const lane = async () => {
      while (!(await tasks.next()).done) {
        await loop.prompt();
        onEnd();
      }
    };
    await Promise.all(Array.from({ length: place.sessions }, lane));
  };
  return await measure({ events: () => actors.events, run }, place);
}

type Place = Awaited<ReturnType<typeof open>>;

async function open({ sessions = 1000, tasks = Math.max(10_000, 2 * sessions), eventsPerSecond = 50_000, answersPerTurn = 1 }: Settings) {
  const turn = { ...realisticTurn, answersPerTurn };
  const stack = new AsyncDisposableStack();
  const binary = stack.use(await syntheticBinary());
  const env = binary.env({ ...turn, eventsPerSecond, sharers: sessions });
  const server = stack.use(await launchServer({ binary: binary.path, env, opencodeConfig: { model: 'synthetic/instant' } }));
  const eventsPerTurn = eventsOfTurn(turn);
  return { server, sessions, tasks, eventsPerSecond, eventsPerTurn, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function measure(contender: Contender, { tasks, eventsPerSecond, eventsPerTurn }: Place): Promise<Metrics> {
  const mark = () => ({ events: contender.events(), atMs: performance.now(), threadUs: threadCpuUs(), processUs: processCpuUs() });
  const run = async (count: number) => {
    let full: ReturnType<typeof mark> | undefined;
    let allThere = mark();
    await contender.run(
      arriving(count, eventsPerSecond / eventsPerTurn, () => (allThere = mark())),
      () => (full ??= mark()),
    );
    return { full: full!, allThere };
  };
  await run(Math.min(200, tasks));
  const eventLoop = watchEventLoop();
  const { full, allThere } = await run(tasks);
  const events = allThere.events - full.events;
  return {
    mainThreadUsPerEvent: (allThere.threadUs - full.threadUs) / events,
    processUsPerEvent: (allThere.processUs - full.processUs) / events,
    eventsPerSecond: (events / (allThere.atMs - full.atMs)) * 1000,
    delayP99Ms: eventLoop.stop(),
    peakMemoryMb: peakMemoryMb(),
  };
}

/** What one read by chance costs on this machine, when so many sessions are to be found in its memory. */
async function coldReads({ sessions = 1000 }: Settings): Promise<Metrics> {
  return { readNs: readByChanceNs(sessions * bytesOfSession) };
}

/**
 * Tasks as many a second as the server can answer: ten thousand at once would be no load but a storm. They come in groups, as they do where a
 * few sessions wait for their next task and several turns end within a frame: a request by itself wakes the server by itself.
 */
async function* arriving(count: number, tasksPerSecond: number, onLast: () => void): Arrivals {
  const startedAtMs = performance.now();
  for (let task = 0; task < count; task += 1) {
    if ((task / tasksPerSecond) * 1000 > performance.now() - startedAtMs) await new Promise((resolve) => setTimeout(resolve, groupEveryMs));
    yield { prompt: 'go on' };
  }
  onLast();
}
