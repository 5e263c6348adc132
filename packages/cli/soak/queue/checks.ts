import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TaskResult } from '@opencode-manager/actors';
import { JournalReader, runLayout, type JournalRow } from '@opencode-manager/runs/read';
import { namesIn } from '../files.ts';
import { processesOf } from '../checks/leftovers.ts';
import type { QueuePlace } from './place.ts';
import { slowTask, type QueuedTask } from './tasks.ts';

type ResultLine = TaskResult & { readonly final: boolean };

/** What came of a run of a queue. */
export interface QueueFacts {
  readonly tasks: readonly QueuedTask[];
  readonly rows: readonly JournalRow[];
  readonly results: readonly ResultLine[];
  readonly place: QueuePlace;
}

export async function factsOf(place: QueuePlace, tasks: readonly QueuedTask[], path: string): Promise<QueueFacts> {
  using journal = new JournalReader(runLayout(path).journal);
  const text = await readFile(runLayout(path).results, 'utf8');
  const results = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as ResultLine);
  return { place, tasks, rows: [...journal.rows({})], results };
}

/** Every task has one final result, which is right. */
export function checkResults({ tasks, results }: QueueFacts): string[] {
  const problems: string[] = [];
  for (const { id, answer } of tasks) {
    const final = results.filter((result) => result.id === id && result.final);
    const [result] = final;
    if (!result || final.length > 1) problems.push(`${id} has ${final.length} final results`);
    else if (id === slowTask) {
      if (result.outcome !== 'aborted') problems.push(`${id} was cancelled, and ended as ${result.outcome}`);
    } else if (result.outcome === 'interrupted') {
      // A host that is lost takes of the tries of the infrastructure, of which there are four.
      const lost = results.filter((one) => one.id === id && one.error?.code === 'LEASE_LOST');
      if (lost.length !== 4) problems.push(`${id} ended as interrupted, and lost its host ${lost.length} times`);
    } else if (result.outcome !== 'succeeded' || result.output !== answer)
      problems.push(
        `${id} ended as ${result.outcome} (${result.error?.code} ${result.error?.message}) with ${JSON.stringify(result.output.slice(0, 80))}`,
      );
  }
  return problems;
}

/** The model is asked once at most for the first step of an attempt: each has a session of its own. */
export function checkModel({ rows, place }: QueueFacts): string[] {
  const firsts = new Map<string, number>();
  for (const { purpose, step, sessionId = '?' } of place.model.calls)
    if (purpose === 'turn' && step === 0) firsts.set(sessionId, (firsts.get(sessionId) ?? 0) + 1);
  const intended = new Set(rows.flatMap(({ event }) => (event.type === 'attempt.intended' ? [event.sessionId] : [])));
  const twice = [...firsts]
    .filter(([, count]) => count > 1)
    .map(([session, count]) => `session ${session} was asked ${count} times for its first step`);
  const unknown = [...firsts.keys()]
    .filter((session) => !intended.has(session))
    .map((session) => `session ${session} was asked, and no row says that it was to be`);
  return [...twice, ...unknown];
}

/** Each attempt ends once, and nothing that came late counts. */
export function checkJournal({ rows }: QueueFacts): string[] {
  const problems: string[] = [];
  const ended = new Set<string>();
  const finals = new Set<string>();
  for (const { sequence, event } of rows) {
    if (event.type !== 'attempt.ended') continue;
    if (ended.has(event.token)) problems.push(`row ${sequence}: the attempt ${event.token} ends again`);
    if (finals.has(event.key)) problems.push(`row ${sequence}: ${event.key} had its final result`);
    ended.add(event.token);
    if (event.final) finals.add(event.key);
  }
  const gap = rows.findIndex(({ sequence }, index) => sequence !== index + 1);
  return gap < 0 ? problems : [...problems, `a row is missing before ${gap + 1}`];
}

/** What was done in workspaces is there as patches. */
export async function checkPatches({ tasks, results }: QueueFacts): Promise<string[]> {
  const problems: string[] = [];
  for (const { id, kind } of tasks) {
    const result = results.find((one) => one.id === id && one.final);
    if (kind !== 'write' || result?.outcome !== 'succeeded') continue;
    const patch = result.patch == null ? '' : await readFile(result.patch, 'utf8').catch(() => '');
    if (!patch.includes(`+${id}\n`) || patch.includes(`+${id}\n+${id}\n`))
      problems.push(`the patch of ${id} is not what it did: ${told(result)} ${JSON.stringify(patch.slice(-200))}`);
  }
  return problems;
}

function told({ attempt, patch, truncated, files_changed, tool_calls, directory, output }: TaskResult): string {
  return JSON.stringify({ attempt, patch, truncated, files_changed, tool_calls, directory, output });
}

/** Nothing is left on any host. */
export async function checkHosts({ root, temporary }: QueuePlace): Promise<string[]> {
  const deadline = performance.now() + 15_000;
  for (;;) {
    const [processes, files] = [await processesOf(join(root, 'tmp')), await namesIn(temporary)];
    const problems = [
      ...(processes.length > 0 ? [`processes are left: ${processes.join('; ')}`] : []),
      ...(files.length > 0 ? [`temporary files are left: ${files.join(' ')}`] : []),
    ];
    if (problems.length === 0 || performance.now() > deadline) return problems;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
