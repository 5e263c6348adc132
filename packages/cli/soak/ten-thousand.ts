// What 10,000 instant tasks cost: memory of the manager while it works, the decision of a resume, and `ocm status`.
//
//   node --conditions=@opencode-manager/source soak/ten-thousand.ts [TASKS]
//
// Nothing is asserted: figures of a loaded machine say little alone, so that each stands beside a node that runs nothing.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { median, syntheticBinary } from '@opencode-manager/bench';
import { temporaryWorkspace } from '@opencode-manager/testing';
import { main } from '../src/main.ts';

const count = Number(process.argv[2] ?? 10_000);
const bin = fileURLToPath(new URL('../src/bin.ts', import.meta.url));
const node = ['--conditions=@opencode-manager/source', '--disable-warning=ExperimentalWarning'];

const root = await mkdtemp(join(tmpdir(), 'ocm-ten-thousand-'));
const [taskFile, run] = [join(root, 'tasks.jsonl'), join(root, 'run')];
const env = { PATH: process.env['PATH'], HOME: root, TMPDIR: root, NODE_COMPILE_CACHE: join(root, 'compiled') };
try {
  await using binary = await syntheticBinary();
  await using workspace = await temporaryWorkspace();
  const [config, server] = [join(root, 'opencode.json'), join(root, 'server.json')];
  await writeFile(config, '{ "model": "synthetic/instant", "enabled_providers": ["synthetic"] }');
  await writeFile(server, JSON.stringify({ env: binary.env({ eventsPerSecond: 0 }) }));
  const ids = Array.from({ length: count }, (_, index) => `task-${index + 1}`);
  await writeFile(taskFile, ids.map((id) => `${JSON.stringify({ id, prompt: `Do ${id}.` })}\n`).join(''));
  const options = ['--directory', workspace.path, '--opencode-config', config, '--config', server, '--binary', binary.path];
  await memoryOf(['run', taskFile, ...options, '--run-dir', run, '--concurrency', '20', '--json']);
  const nothing = timesOf(10, ['-e', '0']);
  console.log(`node -e 0: ${nothing.toFixed(0)} ms`);
  for (const args of [
    ['status', run],
    ['resume', run, '--explain'],
    ['results', run],
    ['wait', run],
  ]) {
    const ms = timesOf(args[0] === 'status' ? 10 : 3, [...node, bin, ...args]);
    console.log(`ocm ${args.filter((word) => word !== run).join(' ')}: ${ms.toFixed(0)} ms, ${(ms - nothing).toFixed(0)} ms over node`);
  }
  console.log(`the decision of a resume, all modules loaded: ${(await decisionOf(run)).toFixed(0)} ms`);
} finally {
  await rm(root, { recursive: true, force: true });
}

/** Milliseconds of `ocm resume --explain` in this process, the second time: without the start of node, and without its modules. */
async function decisionOf(path: string): Promise<number> {
  let startedAt = 0;
  for (let time = 1; time <= 2; time += 1) {
    startedAt = performance.now();
    const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough().resume(), new PassThrough().resume()];
    const code = await main(['resume', path, '--explain'], { stdin, stdout, stderr, env: {} });
    if (code !== 0) throw new Error(`ocm resume --explain: exit ${code}`);
  }
  return performance.now() - startedAt;
}

/** Runs it, and tells its resident memory at each tenth of the tasks. */
async function memoryOf(args: readonly string[]): Promise<void> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [...node, bin, ...args], { env, stdio: ['ignore', 'pipe', 'ignore'] });
  let [finished, told] = [0, 0];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    finished += text.split('"type":"task.finished"').length - 1;
    if (finished < told) return;
    told += Math.ceil(count / 10);
    void residentOf(child.pid!).then((megabytes) => console.log(`${finished} finished, ${seconds(startedAt)} s: ${megabytes} MB resident`));
  });
  const [code] = (await once(child, 'close')) as [number | null];
  console.log(`ocm run: ${finished} finished in ${seconds(startedAt)} s, exit ${code}`);
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(1);
}

async function residentOf(pid: number): Promise<string> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return (Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024).toFixed(0);
}

function timesOf(times: number, args: readonly string[]): number {
  const measured = Array.from({ length: times }, () => {
    const startedAt = performance.now();
    const { status, stderr } = spawnSync(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
    if (status !== 0) throw new Error(`${args.join(' ')}: exit ${status}: ${stderr}`);
    return performance.now() - startedAt;
  });
  return median(measured);
}
