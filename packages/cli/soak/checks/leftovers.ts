import { readdir, readFile } from 'node:fs/promises';
import { runHolder } from '@opencode-manager/runs';
import { namesIn } from '../files.ts';
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
  const beside = (await namesIn(`${place.repository}.ocm`)).filter((name) => !path.endsWith(name));
  if (beside.length > 0) problems.push(`beside the run are left: ${beside.join(' ')}`);
  const holder = await runHolder(path);
  if (holder !== undefined) problems.push(`the run is held by ${JSON.stringify(holder)}`);
  return problems;
}

/** Processes that name the place of the soak in what they were started with, but for this one. */
async function processesOf(root: string): Promise<string[]> {
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
