// What it costs that a run can be resumed: `ocm run` with the directory of a run (journal, results, transcripts, sessions deleted), and
// without (`--no-run-dir`), on real opencode with a model that answers at once.
//
//   pnpm bench run-journal
import { createInterface } from 'node:readline';
import { ocm, ocmEnvironment, runCase, type Metrics, type Settings } from '@opencode-manager/bench';
import { startScriptedModel, temporaryWorkspace } from '@opencode-manager/testing';
import { execa } from 'execa';

await runCase({
  'run directory': (settings) => measured(settings, []),
  'no run directory': (settings) => measured(settings, ['--no-run-dir']),
  'run directory, no transcripts': (settings) => measured(settings, ['--no-transcripts']),
});

/** From the first start of a task to the last end of one: the server's start is no part of it. */
async function measured({ tasks = 300, concurrency = 6 }: Settings, flags: readonly string[]): Promise<Metrics> {
  await using model = await startScriptedModel({ rules: [{ reply: 'Done.' }] });
  await using workspace = await temporaryWorkspace();
  await using files = await temporaryWorkspace({
    git: false,
    files: {
      'tasks.jsonl': Array.from({ length: tasks }, (_, n) => JSON.stringify({ id: `task-${n}`, prompt: `say done ${n}` })).join('\n'),
      'opencode.json': JSON.stringify(model.opencodeConfig()),
    },
  });
  const where = ['--directory', workspace.path, '--opencode-config', 'opencode.json', '--concurrency', String(concurrency)];
  const child = execa(ocm, ['run', 'tasks.jsonl', ...where, ...flags, '--json'], {
    cwd: files.path,
    env: ocmEnvironment,
    stdin: 'ignore',
    buffer: { stdout: false },
  });
  let [firstMs, lastMs, succeeded] = [0, 0, 0];
  for await (const line of createInterface({ input: child.stdout })) {
    const { type, outcome } = JSON.parse(line) as { type: string; outcome?: string };
    if (type === 'task.started') firstMs ||= performance.now();
    if (type !== 'task.finished') continue;
    lastMs = performance.now();
    if (outcome === 'succeeded') succeeded += 1;
  }
  await child;
  if (succeeded !== tasks) throw new Error(`${succeeded} of ${tasks} tasks succeeded.`);
  return { tasksPerSecond: (tasks * 1000) / (lastMs - firstMs) };
}
