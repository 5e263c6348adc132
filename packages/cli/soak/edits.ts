import { readFile, writeFile } from 'node:fs/promises';
import { runOcm, type Ocm, type OcmRecord } from './ocm.ts';
import type { Place } from './place.ts';

/** A manager that finds longer timeouts runs again what timed out, and nothing else. */
export function raisedTimeouts(before: OcmRecord, { records }: Ocm): string[] {
  const timedOut = Number(before['timed_out']);
  const again = new Set(records.filter(({ type }) => type === 'task.started').map(({ id }) => id));
  console.log(`  timeouts were raised: ${timedOut} timed out, ${again.size} ran again`);
  return again.size === timedOut && timedOut > 0 ? [] : [`raised timeouts: ${again.size} tasks ran again, ${timedOut} had timed out`];
}

/** What is edited between two managers has to be named, by the task and its field, before anything starts. */
export async function tryEdits(place: Place, path: string): Promise<readonly string[]> {
  const problems: string[] = [];
  await edited(
    place.taskFile,
    (text) => text.replace('Soak [t2], please.', 'Soak [t2], thank you.'),
    async () => expectRefusal(place, path, /TASKS_CHANGED.*\bt2 \(prompt\)/s, problems),
  );
  await edited(
    place.configFile,
    (text) => JSON.stringify({ ...(JSON.parse(text) as object), instructions: ['AGENTS.md'] }),
    async () => expectRefusal(place, path, /TASKS_CHANGED.*\bt1 \([^)]*configuration/s, problems),
  );
  console.log('  edits');
  return problems;
}

async function expectRefusal(place: Place, path: string, wanted: RegExp, problems: string[]): Promise<void> {
  const callsBefore = place.model.calls.length;
  const { code, stderr, records } = await runOcm(place, 'resume', path);
  if (code === 2 && wanted.test(stderr) && records.length === 0 && place.model.calls.length === callsBefore) return;
  problems.push(`an edit was not refused as it should be: wanted exit 2 and ${wanted.source}, had ${code} and ${stderr.slice(0, 500)}`);
}

async function edited(path: string, edit: (text: string) => string, act: () => Promise<void>): Promise<void> {
  const text = await readFile(path, 'utf8');
  await writeFile(path, edit(text));
  await act();
  await writeFile(path, text);
}
