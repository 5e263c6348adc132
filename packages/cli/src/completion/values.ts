import { basename } from 'node:path';

/** A word that may be typed. */
export interface Candidate {
  readonly value: string;
  readonly description: string;
}

/** The newest so many are offered. */
const mostRuns = 50;

/** So many are offered: a shell shows no more. */
const mostKeys = 1000;

/** Runs of the repository here, the newest first; none where there is no repository. */
export async function runIds(): Promise<Candidate[]> {
  const { runDirectories } = await import('@opencode-manager/runs/look');
  const paths = await runDirectories('.').catch(() => []);
  return paths.slice(0, mostRuns).map((path) => ({ value: basename(path), description: 'run' }));
}

/** Keys of the tasks of a run, the newest when none is named. */
export async function taskKeys(run: string | undefined): Promise<Candidate[]> {
  const [{ locateRun }, { readRun }] = await Promise.all([import('@opencode-manager/runs/look'), import('@opencode-manager/runs/read')]);
  try {
    const { history } = await readRun(await locateRun('.', run), { lastRows: 0 });
    return history.tasks.slice(0, mostKeys).map(({ key }) => ({ value: key, description: 'task' }));
  } catch {
    return [];
  }
}
