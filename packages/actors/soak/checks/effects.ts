import type { TemporaryWorkspace } from '@opencode-manager/testing';
import type { TaskResult } from '../../src/index.ts';
import type { PlannedTask } from '../plan.ts';
import { ranFile, writtenFile } from '../script.ts';

/** What the tools did to the workspace: a command ran once for each try at most, and what was to be written is there. */
export async function checkEffects(
  tasks: readonly PlannedTask[],
  results: readonly TaskResult[],
  workspace: TemporaryWorkspace,
): Promise<string[]> {
  const byId = new Map(results.map((result) => [result.id, result]));
  const ran = (await workspace.read(ranFile).catch(() => '')).split('\n');
  const written = tasks
    .filter(({ id, kind }) => kind === 'write' && byId.get(id)?.outcome === 'succeeded')
    .map(({ id }) => checkWritten(id, workspace));
  return [
    ...tasks.filter(({ kind }) => kind === 'bash').flatMap(({ id }) => checkRan(id, ran, byId.get(id))),
    ...(await Promise.all(written)).flat(),
  ];
}

function checkRan(taskId: string, ran: readonly string[], result: TaskResult | undefined): string[] {
  const times = ran.filter((line) => line === taskId).length;
  const earlier = result?.attempts?.length ?? 0;
  const least = result?.outcome === 'succeeded' ? 1 : 0;
  return times >= least && times <= 1 + earlier ? [] : [`${taskId}: its command ran ${times} times, with ${earlier} tries before the last`];
}

async function checkWritten(taskId: string, workspace: TemporaryWorkspace): Promise<string[]> {
  const content = await workspace.read(writtenFile(taskId)).catch(() => undefined);
  return content === `${taskId}\n` ? [] : [`${taskId}: its file holds ${JSON.stringify(content)}`];
}
