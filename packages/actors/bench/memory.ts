// Whether a pool grows with the number of tasks that it has finished: the live heap of its main thread and of the stream's
// thread at rest after 1,000 and after 100,000, on a synthetic server that answers at once. Results are the caller's: none is held.
//
//   pnpm bench memory
import { setTimeout as pause } from 'node:timers/promises';
import { launchServer } from '@opencode-manager/core';
import { liveHeapBytes, runCase, syntheticBinary, watchThreads, type Metrics, type Settings } from '@opencode-manager/bench';
import { createSessionPool } from '@opencode-manager/actors';

/** Two heartbeats: with the second the stream is at rest. */
const restMs = 21_000;

await runCase({ pool: memory });

async function memory({ few = 1000, many = 100_000, concurrency = 100 }: Settings): Promise<Metrics> {
  const threadHeapBytes = watchThreads();
  await using binary = await syntheticBinary();
  await using server = await launchServer({
    binary: binary.path,
    env: binary.env({ deltasPerAnswer: 2 }),
    opencodeConfig: { model: 'synthetic/instant' },
  });
  await using pool = await createSessionPool({ server, maxSessions: concurrency });
  const atRest = async () => {
    await pause(restMs);
    return { main: await liveHeapBytes(), thread: await threadHeapBytes() };
  };
  await finish(pool, few);
  const afterFew = await atRest();
  const restartedAtMs = performance.now();
  await finish(pool, many - few);
  const workMs = performance.now() - restartedAtMs;
  const afterMany = await atRest();
  return {
    afterFewMb: afterFew.main / 2 ** 20,
    afterManyMb: afterMany.main / 2 ** 20,
    growthBytesPerTask: (afterMany.main - afterFew.main) / (many - few),
    threadAfterFewMb: afterFew.thread / 2 ** 20,
    threadAfterManyMb: afterMany.thread / 2 ** 20,
    threadGrowthBytesPerTask: (afterMany.thread - afterFew.thread) / (many - few),
    tasksPerSecond: ((many - few) / workMs) * 1000,
  };
}

async function finish(pool: Awaited<ReturnType<typeof createSessionPool>>, count: number): Promise<void> {
  for await (const { outcome, error } of pool.runAll(tasks(count))) {
    if (outcome !== 'succeeded') throw new Error(`a task ended as ${outcome}: ${error?.message}`);
  }
}

function* tasks(count: number): Generator<{ readonly prompt: string }> {
  for (let task = 0; task < count; task += 1) yield { prompt: 'say done' };
}
