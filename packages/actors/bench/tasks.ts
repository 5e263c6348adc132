// Queued tasks on a server that answers at once: what a task costs the manager, and how much memory it takes.
//
//   pnpm bench tasks
//
// The server is the synthetic one, because opencode itself would be the bottleneck and most of what is measured; the
// pool, its HTTP client, its worker and its actors are the real ones. The peer is the least that does the same work: a
// bare undici loop that creates a session, sends the prompt, and waits for the session's idle on the event stream.
import { launchServer } from '@opencode-manager/core';
import { bareLoop, peakMemoryMb, runCase, syntheticBinary, threadCpuUs, type Metrics, type Settings } from '@opencode-manager/bench';
import { createSessionPool } from '@opencode-manager/actors';

const instant = { deltasPerTurn: 8, eventsPerSecond: 0, sharers: 0 };

await runCase({ pool: (settings) => onServer(poolTasks, settings), 'undici loop': (settings) => onServer(loopTasks, settings) });

type Server = Awaited<ReturnType<typeof launchServer>>;

async function onServer(run: (server: Server, settings: Settings) => Promise<Metrics>, settings: Settings): Promise<Metrics> {
  await using binary = await syntheticBinary();
  await using server = await launchServer({
    binary: binary.path,
    env: binary.env(instant),
    opencodeConfig: { model: 'synthetic/instant' },
  });
  return await run(server, settings);
}

async function poolTasks(server: Server, { tasks = 1000, concurrency = 100 }: Settings): Promise<Metrics> {
  await using pool = await createSessionPool({ server, maxSessions: concurrency });
  const run = async (count: number) => {
    await Promise.all(
      Array.from({ length: count }, async () => {
        const { outcome, error } = await pool.run({ prompt: 'say done' });
        if (outcome !== 'succeeded') throw new Error(`a task ended as ${outcome}: ${error?.message}`);
      }),
    );
  };
  return await measure(run, tasks);
}

async function loopTasks(server: Server, { tasks = 1000, concurrency = 100 }: Settings): Promise<Metrics> {
  await using loop = await bareLoop(server);
  return await measure((count) => loop.run(count, concurrency), tasks);
}

async function measure(run: (count: number) => Promise<void>, tasks: number): Promise<Metrics> {
  await run(100);
  const started = performance.now();
  const before = threadCpuUs();
  await run(tasks);
  return {
    mainThreadMsPerTask: (threadCpuUs() - before) / 1000 / tasks,
    tasksPerSecond: (tasks / (performance.now() - started)) * 1000,
    peakMemoryMb: peakMemoryMb(),
  };
}
