import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { runHolder, runLayout } from '@opencode-manager/runs';
import { exists, namesIn } from '../files.ts';
import { runOcm } from '../ocm.ts';
import type { Lived } from '../lives.ts';
import type { Place } from '../place.ts';

const kept = new Set(['run.json', 'tasks.jsonl', 'journal.sqlite', 'results.jsonl', 'state.json', 'lock', 'artifacts']);

/** Of a run that is done nothing is left but its files. */
export async function checkLeftovers(place: Place, { path }: Lived): Promise<string[]> {
  const problems: string[] = [];
  const processes = await processesOf(place.root);
  if (processes.length > 0) problems.push(`processes are left: ${processes.join('; ')}`);
  const temporary = await namesIn(place.temporary);
  if (temporary.length > 0) problems.push(`temporary files are left: ${temporary.join(' ')}`);
  const strange = (await namesIn(path)).filter((name) => !kept.has(name));
  if (strange.length > 0) problems.push(`in the directory of the run are left: ${strange.join(' ')}`);
  const beside = `${place.repository}.ocm`;
  for (const name of (await namesIn(beside)).filter((one) => !path.endsWith(one))) {
    // A manager that was killed before its run began leaves a directory that was never one; clean removes it.
    if (!(await exists(runLayout(join(beside, name)).journal))) problems.push(`beside the run is left: ${name}`);
  }
  const holder = await runHolder(path);
  if (holder !== undefined) problems.push(`the run is held by ${JSON.stringify(holder)}`);
  return problems;
}

/** `ocm clean` removes what is left of all runs, those that never began too. */
export async function checkClean(place: Place): Promise<string[]> {
  const { code, stderr } = await runOcm(place, 'clean');
  const { stdout: refs } = await promisify(execFile)('git', ['-C', place.repository, 'for-each-ref', 'refs/ocm']);
  const left = await namesIn(`${place.repository}.ocm`);
  return code === 0 && refs === '' && left.length === 0
    ? []
    : [`ocm clean: exit ${code}, left ${left.join(' ')} ${refs} ${stderr.slice(0, 500)}`];
}

/** Processes that name the place of the soak in what they were started with, but for this one. */
export async function processesOf(root: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const [line, environment] = await Promise.all(
        ['cmdline', 'environ'].map((name) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '')),
      );
      return `${line}${environment}`.includes(root) ? [`${pid} ${line!.replaceAll('\0', ' ').slice(0, 120)}`] : [];
    }),
  );
  return found.flat();
}
