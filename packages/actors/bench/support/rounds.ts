import { cpuSecondsOf, cpuSecondsOfTree, type Metrics, type Round } from '@opencode-manager/bench';

/** Made for the first variant that asks. */
export function shared<Thing>(make: (stack: AsyncDisposableStack) => Promise<Thing>): (stack: AsyncDisposableStack) => Promise<Thing> {
  let made: Promise<Thing> | undefined;
  return (stack) => (made ??= make(stack));
}

/** Runs rounds until so many prompts are done. */
export async function warmedUp(warmUpPrompts: number, prompts: number, round: Round): Promise<Round> {
  for (let done = 0; done < warmUpPrompts; done += prompts) await round();
  return round;
}

/** CPU seconds of a server, of its children that have ended, and of this process. */
export function withUs(serverPid: number): () => Promise<number> {
  return async () => (await cpuSecondsOfTree(serverPid)) + (await cpuSecondsOf('self', 'self'));
}

/** Prompts a second, and CPU seconds each. */
export async function measure(prompts: number, run: () => Promise<void>, cpuSeconds: () => Promise<number>): Promise<Metrics> {
  const before = await cpuSeconds();
  const startedAtMs = performance.now();
  await run();
  const seconds = (performance.now() - startedAtMs) / 1000;
  const cpu = (await cpuSeconds()) - before;
  return { promptsPerSecond: prompts / seconds, cpuSecondsPerPrompt: cpu / prompts };
}
