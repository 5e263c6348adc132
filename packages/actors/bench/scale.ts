// Scale by simulation: 10,000 tasks (20,000 on 10,000 sessions) with realistic turns (80 events, 85 % deltas) on 100, 1,000 or 10,000 sessions at once,
// 50,000 events a second or more from a synthetic server, through the real worker, router, actors and pool.
//
//   pnpm bench scale
//
// The cost of an event includes that of the tasks: creating a session, sending the prompt, proving the end. Events a second
// are counted from the first end of a turn to the last begin of one: before and after it fewer sessions work.
import { launchServer } from '@opencode-manager/core';
import {
  eventsOfTurn,
  peakMemoryMb,
  processCpuUs,
  realisticTurn,
  runCase,
  syntheticBinary,
  threadCpuUs,
  watchEventLoop,
  type Metrics,
  type Settings,
} from '@opencode-manager/bench';
import { createSessionPool } from '@opencode-manager/actors';

await runCase({ pool: scale });

async function scale({
  sessions = 1000,
  tasks = Math.max(10_000, 2 * sessions),
  eventsPerSecond = 50_000,
  answersPerTurn = 1,
}: Settings): Promise<Metrics> {
  const turn = { ...realisticTurn, answersPerTurn };
  const eventsPerTurn = eventsOfTurn(turn);
  await using binary = await syntheticBinary();
  await using server = await launchServer({
    binary: binary.path,
    env: binary.env({ ...turn, eventsPerSecond, sharers: sessions }),
    opencodeConfig: { model: 'synthetic/instant' },
  });
  await using pool = await createSessionPool({ server, maxSessions: sessions });
  const mark = () => ({ events: pool.monitor.stats.events, atMs: performance.now() });
  const run = async (count: number) => {
    let full: ReturnType<typeof mark> | undefined;
    let allThere = mark();
    const source = arriving(count, eventsPerSecond / eventsPerTurn, () => (allThere = mark()));
    for await (const { outcome, error } of pool.runAll(source)) {
      if (outcome !== 'succeeded') throw new Error(`a task ended as ${outcome}: ${error?.message}`);
      full ??= mark();
    }
    return ((allThere.events - full!.events) / (allThere.atMs - full!.atMs)) * 1000;
  };
  await run(Math.min(200, tasks));
  const eventLoop = watchEventLoop();
  const before = { thread: threadCpuUs(), process: processCpuUs() };
  const eventsPerSecondAtFull = await run(tasks);
  const events = tasks * eventsPerTurn;
  return {
    mainThreadUsPerEvent: (threadCpuUs() - before.thread) / events,
    processUsPerEvent: (processCpuUs() - before.process) / events,
    eventsPerSecond: eventsPerSecondAtFull,
    delayP99Ms: eventLoop.stop(),
    peakMemoryMb: peakMemoryMb(),
    dropped: pool.monitor.stats.dropped,
    gaps: pool.monitor.gaps,
  };
}

/** Tasks that come one after the other, as many a second as the server can answer: ten thousand at once would be no load but a storm. */
async function* arriving(count: number, tasksPerSecond: number, onLast: () => void): AsyncGenerator<{ readonly prompt: string }> {
  const startedAtMs = performance.now();
  for (let task = 0; task < count; task += 1) {
    const earlyMs = (task / tasksPerSecond) * 1000 - (performance.now() - startedAtMs);
    if (earlyMs > 1) await new Promise((resolve) => setTimeout(resolve, earlyMs));
    yield { prompt: 'go on' };
  }
  onLast();
}
