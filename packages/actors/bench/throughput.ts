// Prompts per second and per CPU-second with an instant scripted model, in one git repository: this pool against
// `opencode run` processes and against the official SDK on a server with opencode's defaults. Rounds are interleaved.
//
//   pnpm --filter @opencode-manager/actors run bench
//
// Prints medians, their spread and ratios. CPU is user plus system time of the server or of the `opencode run` processes
// and, for the SDK and the pool, of this process (the model server runs in it too, for all three).
import { readFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { findBinary, launchServer } from '@opencode-manager/core';
import { startScriptedModel, temporaryWorkspace } from '@opencode-manager/testing';
import { createOpencodeClient } from '@opencode-ai/sdk/v2/client';
import { execa } from 'execa';
import { createSessionPool } from '../src/index.ts';

interface Round {
  readonly promptsPerSecond: number;
  readonly cpuSecondsPerPrompt: number;
}

const rounds = Number(process.env['ROUNDS'] ?? 3);
const concurrency = Number(process.env['CONCURRENCY'] ?? 10);
const prompts = { run: 4, server: 100 };
/** Kernel ticks a second, as Linux reports CPU times. */
const ticks = 100;

const model = await startScriptedModel({ rules: [{ reply: 'Done.' }] });
const workspace = await temporaryWorkspace({ files: { 'a.txt': 'a\n' } });
const peers = {
  'opencode run': runProcesses,
  'SDK, default server': sdkOnDefaults,
  'opencode-manager pool': pool,
} as const satisfies Record<string, () => Promise<Round>>;
type Peer = keyof typeof peers;

const results: Record<Peer, Round[]> = { 'opencode run': [], 'SDK, default server': [], 'opencode-manager pool': [] };
for (let round = 0; round < rounds; round += 1) {
  for (const peer of Object.keys(peers) as Peer[]) {
    const result = await peers[peer]();
    results[peer].push(result);
    console.error(
      `round ${round + 1}, ${peer}: ${result.promptsPerSecond.toFixed(2)}/s, ${result.cpuSecondsPerPrompt.toFixed(3)} CPU-s a prompt`,
    );
  }
}
await Promise.all([model[Symbol.asyncDispose](), workspace[Symbol.asyncDispose]()]);
console.log(report());

function report(): string {
  const ours = results['opencode-manager pool'];
  const rows = (Object.keys(peers) as Peer[]).map((peer) => {
    const speed = results[peer].map(({ promptsPerSecond }) => promptsPerSecond);
    const cost = results[peer].map(({ cpuSecondsPerPrompt }) => cpuSecondsPerPrompt);
    const speedRatio = median(ours.map(({ promptsPerSecond }) => promptsPerSecond)) / median(speed);
    const costRatio = median(cost) / median(ours.map(({ cpuSecondsPerPrompt }) => cpuSecondsPerPrompt));
    return `| ${peer} | ${spread(speed, 2)} | ${spread(cost, 3)} | ${speedRatio.toFixed(1)}x | ${costRatio.toFixed(1)}x |`;
  });
  return [
    `${concurrency} at once, ${rounds} rounds, ${availableParallelism()} cores (${cpus()[0]?.model ?? 'unknown'}), Node ${process.version}`,
    '',
    '| | prompts/s: median (min-max) | CPU-s a prompt: median (min-max) | pool is faster by | pool needs less CPU by |',
    '|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

/** `opencode run` processes, two at a time (one a core), each lane with a warm home of its own: in a shared one they fail on locks. */
async function runProcesses(): Promise<Round> {
  await using stack = new AsyncDisposableStack();
  const { path: binary } = await findBinary();
  const lanes = await Promise.all(
    [1, 2].map(async () => {
      const home = stack.use(await temporaryWorkspace({ files: { 'opencode.json': JSON.stringify(model.opencodeConfig()) } }));
      return () =>
        execa(binary, ['run', 'say done'], { cwd: workspace.path, env: privateEnvironment(home.path), extendEnv: false, stdin: 'ignore' });
    }),
  );
  for (const lane of lanes) await lane();
  const free = [...lanes];
  const before = await cpuOf('self', 'children');
  const one = async () => {
    const lane = free.pop()!;
    await lane();
    free.push(lane);
  };
  return await measure(prompts.run, lanes.length, one, async () => (await cpuOf('self', 'children')) - before);
}

async function sdkOnDefaults(): Promise<Round> {
  await using home = await temporaryWorkspace({ files: { 'opencode.json': JSON.stringify(model.opencodeConfig()) } });
  const { path: binary } = await findBinary();
  const server = execa(binary, ['serve', '--hostname', '127.0.0.1', '--port', '0'], {
    cwd: workspace.path,
    env: privateEnvironment(home.path),
    extendEnv: false,
    buffer: false,
    reject: false,
  });
  const url = await new Promise<string>((resolve) => {
    server.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      const match = /listening on (http:\S+)/.exec(chunk);
      if (match) resolve(match[1]!);
    });
  });
  server.stderr.resume();
  const client = createOpencodeClient({ baseUrl: url, directory: workspace.path });
  const one = async () => {
    const { data } = await client.session.create({});
    await client.session.prompt({ sessionID: data!.id, parts: [{ type: 'text', text: 'say done' }] });
  };
  await one();
  const cpu = async () => (await cpuOf(server.pid!, 'self')) + (await cpuOf(server.pid!, 'children')) + (await cpuOf('self', 'self'));
  const before = await cpu();
  try {
    return await measure(prompts.server, concurrency, one, async () => (await cpu()) - before);
  } finally {
    server.kill('SIGKILL');
    await server;
  }
}

async function pool(): Promise<Round> {
  await using server = await launchServer({ directory: workspace.path, opencodeConfig: model.opencodeConfig() });
  await using sessions = await createSessionPool({ server, maxSessions: concurrency });
  await sessions.run({ prompt: 'warm up' });
  const cpu = async () => (await cpuOf(server.pid, 'self')) + (await cpuOf(server.pid, 'children')) + (await cpuOf('self', 'self'));
  const before = await cpu();
  return await measure(
    prompts.server,
    prompts.server,
    async () => {
      const { outcome } = await sessions.run({ prompt: 'say done' });
      if (outcome !== 'succeeded') throw new Error(`a task ended as ${outcome}`);
    },
    async () => (await cpu()) - before,
  );
}

async function measure(count: number, atOnce: number, one: () => Promise<void>, cpuSeconds: () => Promise<number>): Promise<Round> {
  const startedAtMs = performance.now();
  let left = count;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (left > 0) {
        left -= 1;
        await one();
      }
    }),
  );
  const seconds = (performance.now() - startedAtMs) / 1000;
  return { promptsPerSecond: count / seconds, cpuSecondsPerPrompt: (await cpuSeconds()) / count };
}

/** CPU seconds of a process, or of its children that have ended, from /proc/PID/stat (fields 14 to 17). */
async function cpuOf(pid: number | 'self', whose: 'self' | 'children'): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const first = whose === 'self' ? 11 : 13;
  return (fields[first]! + fields[first + 1]!) / ticks;
}

/** A home of the bench's own, so that the user's opencode stays untouched; everything else is opencode's default. */
function privateEnvironment(root: string): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: root,
    XDG_CONFIG_HOME: join(root, 'config'),
    XDG_DATA_HOME: join(root, 'data'),
    XDG_CACHE_HOME: join(root, 'cache'),
    XDG_STATE_HOME: join(root, 'state'),
    TMPDIR: root,
    OPENCODE_CONFIG: join(root, 'opencode.json'),
    npm_config_offline: 'true',
    OPENCODE_DISABLE_MODELS_FETCH: '1',
    OPENCODE_DISABLE_AUTOUPDATE: '1',
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function spread(values: readonly number[], digits: number): string {
  return `${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)}-${Math.max(...values).toFixed(digits)})`;
}
