// Whether a server should forget directories without a turn: tasks that each have a repository of their own, four at once, as
// worktrees of agents are. The pool keeps 16 idle ones, or all.
//
//   pnpm bench directories
import { createSessionPool } from '@opencode-manager/actors';
import { cpuSecondsOfTree, runAtOnce, runCase, type Metrics, type Settings } from '@opencode-manager/bench';
import { startScriptedModel, temporaryWorkspace } from '@opencode-manager/testing';

/** The last tasks: they tell what all the directories before them cost. */
const lastTasks = 20;

await runCase({ '16 kept': (settings) => work(16, settings), 'all kept': (settings) => work(Number.MAX_SAFE_INTEGER, settings) });

async function work(maxIdleDirectories: number, { directories = 120, concurrency = 4 }: Settings): Promise<Metrics> {
  await using stack = new AsyncDisposableStack();
  const model = stack.use(await startScriptedModel({ rules: [{ reply: 'Done.' }] }));
  const home = stack.use(await temporaryWorkspace({ files: { 'a.txt': 'a\n' } }));
  const server = { directory: home.path, opencodeConfig: model.opencodeConfig() };
  const pool = stack.use(await createSessionPool({ server, maxSessions: concurrency, maxIdleDirectories }));
  const tookMs: number[] = [];
  await runAtOnce(directories, concurrency, async () => {
    const workspace = stack.use(await temporaryWorkspace({ files: { 'a.txt': 'a\n' } }));
    const startedAtMs = performance.now();
    const { outcome, error } = await pool.run({ prompt: 'say done', directory: workspace.path });
    if (outcome !== 'succeeded') throw new Error(`a task ended as ${outcome}: ${error?.message}`);
    tookMs.push(performance.now() - startedAtMs);
  });
  return {
    serverMemoryMb: (await pool.server.residentBytes()) / 2 ** 20,
    lastTaskMs: tookMs.slice(-lastTasks).reduce((sum, ms) => sum + ms, 0) / lastTasks,
    cpuSecondsPerTask: (await cpuSecondsOfTree(pool.server.pid)) / directories,
  };
}
