// Benchmarks of `ocm run` itself.
import type { Benchmark, Figure } from './harness/types.ts';

export const taskWorkspaces: Benchmark = {
  name: 'task-workspaces',
  about:
    'Tasks with a workspace each, from the start of the command or server to its end: `ocm run --workspace clone`, a bare undici loop on a server of our `batch` profile with `git worktree add` under a mutex, and `opencode run` in such worktrees, two processes at a time. Each task writes a file with the bash tool (a scripted model) and leaves a patch. The disk of a workspace is looked at when its task begins; what is left is the growth of the repository, and patches. The full size: `pnpm bench task-workspaces --set tasks=200 --set files=5000 --set processes=200`.',
  file: 'packages/cli/bench/task-workspaces.ts',
  variants: ['ocm run', 'worktrees and a loop', 'opencode run in worktrees'],
  points: [{ label: '', settings: { tasks: 20, files: 500, concurrency: 6, processes: 4 } }],
  quickPoints: [{ label: '', settings: { tasks: 6, files: 50, concurrency: 3, processes: 2 } }],
  rounds: 3,
  // Two hundred processes of opencode take half an hour.
  deadlineMs: 3_600_000,
  figures: [
    placed('Wall time per task', 'secondsPerTask', 's', 2),
    placed('CPU per task', 'cpuSecondsPerTask', 's', 2),
    placed('Disk of a workspace', 'workspaceMb', 'MB', 2),
    placed('Disk that is left, per task', 'leftKbPerTask', 'KB', 1),
    placed('Memory of the server, or of the processes at once', 'serverMemoryMb', 'MB', 0),
  ],
};

function placed(title: string, metric: string, unit: string, digits: number): Figure {
  return { title, metric, unit, digits, better: 'lower', ours: 'ocm run', peers: ['worktrees and a loop', 'opencode run in worktrees'] };
}

export const runJournal: Benchmark = {
  name: 'run-journal',
  about:
    'What it costs that a run can be resumed: `ocm run` of 300 tasks, six at once, on real opencode with a model that answers at once, with the directory of a run and without (`--no-run-dir`). Tasks a second are counted from the first start of a task to the last end of one.',
  file: 'packages/cli/bench/run-journal.ts',
  variants: ['run directory', 'no run directory', 'run directory, no transcripts'],
  points: [{ label: '', settings: { tasks: 300, concurrency: 6 } }],
  quickPoints: [{ label: '', settings: { tasks: 60, concurrency: 6 } }],
  rounds: 5,
  figures: [
    {
      title: 'Tasks a second of a run that can be resumed',
      metric: 'tasksPerSecond',
      unit: 'tasks/s',
      digits: 1,
      better: 'higher',
      ours: 'run directory',
      peers: ['no run directory', 'run directory, no transcripts'],
      goal: { ratio: 0.95, peer: 'no run directory' },
    },
  ],
};
