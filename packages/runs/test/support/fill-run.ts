// The files of a run on a file system that gets full, and has room again. Prints what was told, and what the files hold at the end.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isManagerError } from '@opencode-manager/core/errors';
import { createRunDirectory, runLayout, type JournalRow } from '../../src/index.ts';
import { ended } from './events.ts';
import { facts, repository, taskLine } from './repository.ts';

const [root = ''] = process.argv.slice(2);
const run = await createRunDirectory({ directory: repository(join(root, 'repo')), facts });
const filler = join(root, 'filler');
const { results, tasks } = runLayout(run.path);

async function told(work: () => Promise<unknown>): Promise<string> {
  return work().then(
    () => 'done',
    (error: unknown) => (isManagerError(error) ? error.code : String(error)),
  );
}

function takes(bytes: number): boolean {
  try {
    writeFileSync(filler, Buffer.alloc(bytes), { flag: 'a' });
    return true;
  } catch {
    return false;
  }
}

// The journal has them all; the disk gets full afterwards.
const rows: JournalRow[] = [];
for (const key of ['a', 'b', 'c', 'd']) {
  const end = ended(key, 1);
  rows.push(...(await run.journal.append([{ ...end, result: { ...end.result, output: key.repeat(9000) } }])));
}
const before = await told(() => run.addResults(rows.slice(0, 1)));
for (let size = 65_536; size >= 512; size /= 2) while (takes(size)) continue;
const meanwhile = await Promise.all([
  told(() => run.addResults(rows.slice(1, 2))),
  told(() => run.addTasks([{ ...taskLine('x'), task: { prompt: 'x'.repeat(9000) } }])),
]);
const still = await told(() => run.addResults(rows.slice(2, 3)));
// A reader sees whole lines alone; and a run that cannot begin leaves nothing.
const whole = [results, tasks].map((path) => /^(.*\n)?$/s.test(readFileSync(path, 'utf8')));
const another = await told(() => createRunDirectory({ directory: join(root, 'repo'), facts }));
const runs = readdirSync(join(root, 'repo.ocm')).length;
rmSync(filler);
const after = await Promise.all([told(() => run.addResults(rows.slice(3))), told(() => run.addTasks([taskLine('y')]))]);
const lines = (path: string) => readFileSync(path, 'utf8').split('\n').slice(0, -1);
const ids = lines(results).map((line) => (JSON.parse(line) as { id: string }).id);
const keys = lines(tasks).map((line) => (JSON.parse(line) as { key: string }).key);
await run.close();
process.stdout.write(`${JSON.stringify({ before, meanwhile, still, whole, another, runs, after, ids, keys })}\n`);
