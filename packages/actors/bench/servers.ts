// Whether two isolated servers beat one on this machine, and from which load on: the same prompts over one pool, and over
// two pools with a server each.
//
//   pnpm bench servers
import { launchServer } from '@opencode-manager/core';
import { createSessionPool } from '@opencode-manager/actors';
import { cpuSecondsOf, cpuSecondsOfTree, runAtOnce, runCase, type Metrics, type Settings } from '@opencode-manager/bench';
import { startScriptedModel, temporaryWorkspace } from '@opencode-manager/testing';

await runCase({ 'one server': (settings) => onServers(1, settings), 'two servers': (settings) => onServers(2, settings) });

async function onServers(count: number, { prompts = 80, concurrency = 10 }: Settings): Promise<Metrics> {
  await using stack = new AsyncDisposableStack();
  const model = stack.use(await startScriptedModel({ rules: [{ reply: 'Done.' }] }));
  const workspace = stack.use(await temporaryWorkspace({ files: { 'a.txt': 'a\n' } }));
  const launch = async () => stack.use(await launchServer({ directory: workspace.path, opencodeConfig: model.opencodeConfig() }));
  const servers = await Promise.all(Array.from({ length: count }, launch));
  const maxSessions = Math.ceil(concurrency / count);
  const pools = await Promise.all(servers.map(async (server) => stack.use(await createSessionPool({ server, maxSessions }))));
  const one = async (index: number) => {
    const { outcome } = await pools[index % count]!.run({ prompt: 'say done' });
    if (outcome !== 'succeeded') throw new Error(`a task ended as ${outcome}`);
  };
  await runAtOnce(2 * concurrency, 2 * concurrency, one);
  const cpu = async () =>
    (await Promise.all(servers.map(({ pid }) => cpuSecondsOfTree(pid)))).reduce(
      (sum, part) => sum + part,
      await cpuSecondsOf('self', 'self'),
    );
  const before = await cpu();
  const startedAtMs = performance.now();
  await runAtOnce(prompts, prompts, one);
  const seconds = (performance.now() - startedAtMs) / 1000;
  return { promptsPerSecond: prompts / seconds, cpuSecondsPerPrompt: ((await cpu()) - before) / prompts };
}
