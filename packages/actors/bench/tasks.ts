// Queued tasks on a server that answers at once: what a task costs the manager, and how much memory it takes.
//
//   pnpm bench tasks
//
// The server is the synthetic one, because opencode itself would be the bottleneck and most of what is measured; the
// pool, its HTTP client, its worker and its actors are the real ones. The peer is the least that does the same work: a
// bare undici loop that creates a session, sends the prompt, and waits for the session's idle on the event stream. `ocm run` is the built
// command with the same tasks in a file, and `pool, kept small` a built program that is started as `ocm` is.
import { execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { temporaryWorkspace } from '@opencode-manager/testing';
import { launchServer } from '@opencode-manager/core';
import {
  bareLoop,
  ocm,
  ocmEnvironment,
  peakMemoryMb,
  runCase,
  syntheticBinary,
  threadCpuUs,
  type Metrics,
  type Settings,
} from '@opencode-manager/bench';
import { createSessionPool } from '@opencode-manager/actors';

const instant = { deltasPerAnswer: 8 };

await runCase({
  pool: (settings) => onServer(poolTasks, settings),
  'undici loop': (settings) => onServer(loopTasks, settings),
  'pool, kept small': programTasks,
  'ocm run': commandTasks,
});

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

async function programTasks({ tasks = 1000, concurrency = 100 }: Settings): Promise<Metrics> {
  await using binary = await syntheticBinary();
  const program = fileURLToPath(new URL('program.mjs', import.meta.url));
  const order = JSON.stringify({ binary: binary.path, env: binary.env(instant), tasks, concurrency });
  const flags = ['--import', '@opencode-manager/core/small-memory'];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, program, order], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: { ...process.env, MALLOC_ARENA_MAX: '1' },
  });
  return { peakMemoryMb: Number(stdout) };
}

/** Its memory is looked at until it ends: the kernel keeps the peak for as long as the process is there. */
async function commandTasks({ tasks = 1000, concurrency = 100 }: Settings): Promise<Metrics> {
  await using binary = await syntheticBinary();
  const lines = Array.from({ length: tasks }, (_, index) => JSON.stringify({ id: `task-${index}`, prompt: 'say done' }));
  const files = { 'tasks.jsonl': lines.join('\n'), 'opencode.json': JSON.stringify({ model: 'synthetic/instant' }) };
  await using workspace = await temporaryWorkspace({ files });
  const options = ['--concurrency', String(concurrency), '--opencode-config', 'opencode.json', '--binary', binary.path];
  const child = spawn(ocm, ['run', 'tasks.jsonl', '--json', '--pass-env', 'SYNTHETIC_TURNS', ...options], {
    cwd: workspace.path,
    env: { ...ocmEnvironment, ...binary.env(instant) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2000)));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  let peakMb = 0;
  const look = setInterval(() => (peakMb = Math.max(peakMb, peakMemoryMb(child.pid) || 0)), 20);
  const code = await ended;
  clearInterval(look);
  if (code !== 0) throw new Error(`ocm run ended with exit code ${code}: ${said}`);
  return { peakMemoryMb: peakMb };
}
