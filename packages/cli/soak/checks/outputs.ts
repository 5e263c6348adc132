import { isDeepStrictEqual } from 'node:util';
import type { TaskResult } from '@opencode-manager/actors';
import { runLayout } from '@opencode-manager/runs/read';
import { withToldErrors } from '../../src/terminal/index.ts';
import { repeated, type Facts } from '../facts.ts';
import { readJsonLines } from '../files.ts';
import { runOcm, type OcmRecord } from '../ocm.ts';

/** The files and commands that tell of the run say what its journal says. */
export async function checkOutputs(facts: Facts): Promise<string[]> {
  return [...(await resultsFile(facts)), ...(await outFile(facts)), ...(await commands(facts)), ...statusMeanwhile(facts), ...sums(facts)];
}

async function resultsFile({ path, ended }: Facts): Promise<string[]> {
  const { lines, torn } = await readJsonLines(runLayout(path).results);
  const wanted = ended.map(({ sequence, final, result }) => ({ seq: sequence, final, ...result }));
  if (torn.length > 0) return [`results.jsonl: ${torn.length} lines are no JSON`];
  return isDeepStrictEqual(lines, wanted) ? [] : [`results.jsonl: ${lines.length} lines are not the ${wanted.length} ends of the journal`];
}

/** The last line of a task counts: one that a lost server had ended for good may have run again. */
async function outFile({ place, final, ended, tasks }: Facts): Promise<string[]> {
  const { lines, torn } = await readJsonLines(place.out);
  const told = (lines as (TaskResult & { readonly final?: false })[]).filter((line) => line.final !== false);
  const problems = repeated(told.map(({ id, attempt }) => `${id}/${attempt}`)).map((name) => `--out: ${name} is there twice`);
  const finals = ended.filter((end) => end.final).length;
  if (told.length !== finals) problems.push(`--out: ${told.length} final results, the journal has ${finals}`);
  if (torn.length > 0) console.log(`  --out has ${torn.length} torn lines`);
  const byId = new Map(told.map((result) => [result.id, result]));
  for (const { id } of tasks) {
    const wanted = withToldErrors(final.get(id)?.result);
    if (!isDeepStrictEqual(byId.get(id), wanted))
      problems.push(`--out: ${id} is not what the journal has: ${JSON.stringify(byId.get(id))?.slice(0, 300)}`);
  }
  return problems;
}

async function commands({ place, path, final, tasks }: Facts): Promise<string[]> {
  const problems: string[] = [];
  const [wait, status, results] = await Promise.all([
    runOcm(place, 'wait', path, '--json'),
    runOcm(place, 'status', path, '--json'),
    runOcm(place, 'results', path, '--json'),
  ]);
  const states: Record<string, number> = {};
  for (const { outcome } of final.values()) states[outcome] = (states[outcome] ?? 0) + 1;
  const code = states['succeeded'] === tasks.length ? 0 : 1;
  const expected = { status: 'done', total: tasks.length, states };
  for (const [name, record] of [
    ['wait', wait.record('done')],
    ['status', status.record('run')],
  ] as const) {
    const had = { status: record?.['status'], total: record?.['total'], states: withoutZeros(record?.['states']) };
    if (!isDeepStrictEqual(had, expected)) problems.push(`ocm ${name}: ${JSON.stringify(had)}, not ${JSON.stringify(expected)}`);
  }
  if (wait.code !== code) problems.push(`ocm wait: exit ${wait.code}, not ${code}`);
  const told = results.records.filter(({ type }) => type === 'task.finished').map(({ type: _type, seq, ...result }) => ({ seq, result }));
  const wanted = [...final.values()]
    .toSorted((one, other) => one.sequence - other.sequence)
    .map(({ sequence, result }) => ({ seq: sequence, result: withToldErrors(result) }));
  if (!isDeepStrictEqual(withoutUndefined(told), withoutUndefined(wanted)))
    problems.push('ocm results: not the final results of the journal');
  return problems;
}

/** While it ran, each task was told in one state. */
function statusMeanwhile({ lives, tasks }: Facts): string[] {
  const told = lives.flatMap((life) => life.told);
  const wrong = told.filter(({ total, states }) => total !== tasks.length || sumOf(states) !== tasks.length);
  return wrong.length === 0
    ? []
    : [`ocm status: ${wrong.length} of ${told.length} times not ${tasks.length} tasks, such as ${JSON.stringify(wrong[0]!['states'])}`];
}

function sumOf(states: unknown): number {
  return Object.values((states ?? {}) as Record<string, number>).reduce((sum, count) => sum + count, 0);
}

const withoutUndefined = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

function withoutZeros(states: unknown): object {
  return Object.fromEntries(Object.entries(states ?? {}).filter(([, count]) => count !== 0));
}

/** The last record adds the attempts of all managers up. */
function sums({ lives, ended, final, tasks }: Facts): string[] {
  const done: OcmRecord | undefined = lives.at(-1)!.ocm.record('done');
  const usage = { input_tokens: 0, output_tokens: 0, reasoning_tokens: 0, cache_read_tokens: 0, cache_write_tokens: 0 };
  for (const { result } of ended) for (const name of Object.keys(usage) as (keyof typeof usage)[]) usage[name] += result.usage[name];
  const cost = ended.reduce((sum, { result }) => sum + (result.cost_usd ?? 0), 0);
  const succeeded = [...final.values()].filter(({ outcome }) => outcome === 'succeeded').length;
  const problems: string[] = [];
  if (!isDeepStrictEqual(done?.['usage'], usage))
    problems.push(`done: usage ${JSON.stringify(done?.['usage'])}, not ${JSON.stringify(usage)}`);
  if (Math.abs(Number(done?.['known_cost_usd']) - cost) > 1e-9)
    problems.push(`done: cost ${String(done?.['known_cost_usd'])}, not ${cost}`);
  if (done?.['attempts'] !== ended.length) problems.push(`done: ${String(done?.['attempts'])} attempts, not ${ended.length}`);
  if (done?.['succeeded'] !== succeeded || done['total'] !== tasks.length || done['not_started'] !== 0)
    problems.push(`done: ${String(done?.['succeeded'])} of ${String(done?.['total'])} succeeded, not ${succeeded} of ${tasks.length}`);
  if (Number(done?.['succeeded_first_try']) + Number(done?.['succeeded_after_retry']) !== succeeded)
    problems.push('done: the first tries and the further ones are not all that succeeded');
  return problems;
}
