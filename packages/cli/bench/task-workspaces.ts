// Tasks with a workspace each: `ocm run --workspace clone` beside what somebody writes without it.
//
//   pnpm bench task-workspaces --set tasks=200 --set files=5000 --set processes=200
//
// Each variant makes its own repository, and is measured from the start of its command or server to the end of it, so that CPU is that of
// this process (the model server runs in it) and of all children that have ended.
import { execFile } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  bareLoop,
  cpuSecondsOfTree,
  ocm,
  ocmEnvironment,
  peakMemoryMb,
  privateEnvironment,
  runAtOnce,
  runCase,
  type Metrics,
  type Settings,
} from '@opencode-manager/bench';
import { findBinary, launchServer } from '@opencode-manager/core';
import { startScriptedModel, temporaryWorkspace } from '@opencode-manager/testing';
import { execa } from 'execa';

/** `opencode run` processes at a time: one a core. */
const processesAtOnce = 2;

const bash = { name: 'bash', arguments: { command: 'echo done > result.txt', description: 'write' } };
const rules = [{ when: { afterTool: 'bash' }, reply: 'Done.' }, { reply: { toolCalls: [bash] } }];

await runCase({ 'ocm run': command, 'worktrees and a loop': loop, 'opencode run in worktrees': processes });

interface Place {
  readonly repository: string;
  /** Where workspaces and patches go. */
  readonly root: string;
  readonly opencodeConfig: Record<string, unknown>;
  /** Told once, of the first workspace. */
  readonly look: (workspace: string) => Promise<void>;
  /** Looks at the memory of a process until the end. */
  readonly watch: (pid: number) => void;
}

async function measured({ files = 500 }: Settings, tasks: number, atOnce: number, run: (place: Place) => Promise<void>): Promise<Metrics> {
  await using model = await startScriptedModel({ rules });
  const contents = Object.fromEntries(Array.from({ length: files }, (_, n) => [`d${n % 97}/f${n}.txt`, `file ${n}\n`.repeat(20)]));
  await using workspace = await temporaryWorkspace({ files: contents });
  await using places = await temporaryWorkspace({ git: false });
  const peaks = new Map<number, number>();
  const follow = setInterval(() => {
    for (const pid of peaks.keys()) peaks.set(pid, Math.max(peaks.get(pid)!, peakOf(pid)));
  }, 50);
  const repository = workspace.path;
  let seen: Promise<number> | undefined;
  const look = async (path: string) => void (await (seen ??= kilobytes(path)));
  const before = await kilobytes(join(repository, '.git'));
  const cpuBefore = await cpuSecondsOfTree('self');
  const startedAt = performance.now();
  await run({ repository, root: places.path, opencodeConfig: model.opencodeConfig(), look, watch: (pid) => peaks.set(pid, 0) });
  const seconds = (performance.now() - startedAt) / 1000;
  const cpu = (await cpuSecondsOfTree('self')) - cpuBefore;
  clearInterval(follow);
  const left = (await kilobytes(join(repository, '.git'))) - before + (await kilobytes(places.path));
  return {
    secondsPerTask: seconds / tasks,
    cpuSecondsPerTask: cpu / tasks,
    workspaceMb: ((await seen) ?? 0) / 1000,
    leftKbPerTask: left / tasks,
    serverMemoryMb: atOnce * Math.max(0, ...peaks.values()),
  };
}

/** 0 for a process that has ended. */
function peakOf(pid: number): number {
  try {
    return peakMemoryMb(pid) || 0;
  } catch {
    return 0;
  }
}

async function kilobytes(path: string): Promise<number> {
  const { stdout } = await execa('du', ['-sk', path]);
  return Number(stdout.split('\t')[0]);
}

function command(settings: Settings): Promise<Metrics> {
  const { tasks = 20, concurrency = 6 } = settings;
  return measured(settings, tasks, 1, async ({ repository, root, opencodeConfig, look, watch }) => {
    await using files = await temporaryWorkspace({
      git: false,
      files: {
        'tasks.jsonl': Array.from({ length: tasks }, (_, n) => JSON.stringify({ id: `task-${n}`, prompt: 'say done' })).join('\n'),
        'opencode.json': JSON.stringify(opencodeConfig),
      },
    });
    const options = ['--concurrency', String(concurrency), '--opencode-config', 'opencode.json', '--directory', repository, '--json'];
    const child = execa(
      ocm,
      ['run', 'tasks.jsonl', ...options, '--workspace', 'clone', '--root', join(root, 'places'), '--patches', join(root, 'patches')],
      {
        cwd: files.path,
        env: ocmEnvironment,
        stdin: 'ignore',
        buffer: { stdout: false },
      },
    );
    for await (const line of createInterface({ input: child.stdout })) {
      const { type, server, directory } = JSON.parse(line) as { type: string; server: { pid: number }; directory: string };
      if (type === 'launch') watch(server.pid);
      if (type === 'task.started') await look(directory);
    }
    await child;
  });
}

function loop(settings: Settings): Promise<Metrics> {
  const { tasks = 20, concurrency = 6 } = settings;
  return measured(settings, tasks, 1, async ({ repository, root, opencodeConfig, look, watch }) => {
    await using server = await launchServer({ directory: repository, opencodeConfig });
    watch(server.pid);
    await using prompts = await bareLoop(server);
    const trees = worktreesOf(repository, root);
    await runAtOnce(tasks, concurrency, async (n) => {
      const directory = await trees.add(n);
      await look(directory);
      await prompts.prompt({ directory });
      await trees.takeHome(n);
    });
  });
}

function processes(settings: Settings): Promise<Metrics> {
  const { processes: count = 4 } = settings;
  return measured(settings, count, processesAtOnce, async ({ repository, root, opencodeConfig, look, watch }) => {
    const { path: binary } = await findBinary();
    // Each lane has a home of its own: in a shared one the processes fail on locks.
    const homes = await Promise.all(
      Array.from({ length: processesAtOnce }, () =>
        temporaryWorkspace({ git: false, files: { 'opencode.json': JSON.stringify(opencodeConfig) } }),
      ),
    );
    const trees = worktreesOf(repository, root);
    await runAtOnce(count, processesAtOnce, async (n) => {
      const home = homes.pop()!;
      const directory = await trees.add(n);
      await look(directory);
      const options = { cwd: directory, env: privateEnvironment(home.path), extendEnv: false, stdin: 'ignore' } as const;
      const child = execa(binary, ['run', 'say done'], options);
      watch(child.pid!);
      await child;
      await trees.takeHome(n);
      homes.push(home);
    });
    await Promise.all(homes.map((home) => home.remove()));
  });
}

/** A worktree for each task, made and removed one at a time: at once they fail. */
function worktreesOf(repository: string, root: string) {
  const git = promisify(execFile);
  const pathOf = (n: number) => join(root, `tree-${n}`);
  let turn: Promise<unknown> = Promise.resolve();
  const alone = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work);
    turn = done.catch(() => undefined);
    return done;
  };
  return {
    async add(n: number): Promise<string> {
      await alone(() => git('git', ['-C', repository, 'worktree', 'add', '--quiet', '--detach', pathOf(n)]));
      return pathOf(n);
    },
    /** Its changes, untracked files too, as a patch; then it goes. */
    async takeHome(n: number): Promise<void> {
      const path = pathOf(n);
      await git('git', ['-C', path, 'add', '--all']);
      await git('git', ['-C', path, 'diff', '--cached', '--binary', '--output', join(root, `${n}.diff`)]);
      await alone(() => git('git', ['-C', repository, 'worktree', 'remove', '--force', path]));
    },
  };
}
