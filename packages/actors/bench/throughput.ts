// Prompts per second and per CPU-second with an instant scripted model, in one git repository: this pool against
// `opencode run` processes, the official SDK on a server with opencode's defaults, and a bare undici loop on a server of
// our `batch` profile.
//
//   pnpm bench throughput
//
// CPU is user plus system time of the server and its children or of the `opencode run` processes, and of this process (the
// model server runs in it too, for all of them).
import { launchServer, findBinary, type OpencodeServer } from '@opencode-manager/core';
import {
  bareLoop,
  cpuSecondsOf,
  cpuSecondsOfTree,
  privateEnvironment,
  runAtOnce,
  runCase,
  startBareServer,
  type Metrics,
  type Settings,
} from '@opencode-manager/bench';
import { startScriptedModel, temporaryWorkspace } from '@opencode-manager/testing';
import { createOpencodeClient } from '@opencode-ai/sdk/v2/client';
import { execa } from 'execa';
import { createSessionPool } from '@opencode-manager/actors';

/** `opencode run` processes at a time: one a core. */
const processesAtOnce = 2;

interface Place {
  readonly model: Awaited<ReturnType<typeof startScriptedModel>>;
  readonly directory: string;
}

await runCase({
  pool: (settings) => inPlace((place) => onOurServer(place, (server) => pool(server, settings))),
  'opencode run': (settings) => inPlace((place) => runProcesses(place, settings)),
  'SDK, default server': (settings) => inPlace((place) => sdkOnDefaults(place, settings)),
  'undici loop': (settings) => inPlace((place) => onOurServer(place, (server) => undiciLoop(server, settings))),
});

async function inPlace(run: (place: Place) => Promise<Metrics>): Promise<Metrics> {
  await using model = await startScriptedModel({ rules: [{ reply: 'Done.' }] });
  await using workspace = await temporaryWorkspace({ files: { 'a.txt': 'a\n' } });
  return await run({ model, directory: workspace.path });
}

async function onOurServer({ model, directory }: Place, run: (server: OpencodeServer) => Promise<Metrics>): Promise<Metrics> {
  await using server = await launchServer({ directory, opencodeConfig: model.opencodeConfig() });
  return await run(server);
}

async function pool(server: OpencodeServer, { prompts = 80, concurrency = 10 }: Settings): Promise<Metrics> {
  await using sessions = await createSessionPool({ server, maxSessions: concurrency });
  const one = async () => {
    const { outcome } = await sessions.run({ prompt: 'say done' });
    if (outcome !== 'succeeded') throw new Error(`a task ended as ${outcome}`);
  };
  await runAtOnce(concurrency, concurrency, one);
  // All at once: the pool holds back what has no slot.
  return await measure(
    prompts,
    () => runAtOnce(prompts, prompts, one),
    () => withUs(server.pid),
  );
}

async function undiciLoop(server: OpencodeServer, { prompts = 80, concurrency = 10 }: Settings): Promise<Metrics> {
  await using loop = await bareLoop(server);
  await loop.run(concurrency, concurrency);
  return await measure(
    prompts,
    () => loop.run(prompts, concurrency),
    () => withUs(server.pid),
  );
}

/** Each lane has a warm home of its own: in a shared one the processes fail on locks. */
async function runProcesses({ model, directory }: Place, { processes = 4 }: Settings): Promise<Metrics> {
  await using stack = new AsyncDisposableStack();
  const { path: binary } = await findBinary();
  const makeLane = async () => {
    const home = stack.use(await temporaryWorkspace({ files: { 'opencode.json': JSON.stringify(model.opencodeConfig()) } }));
    const options = { cwd: directory, env: privateEnvironment(home.path), extendEnv: false, stdin: 'ignore' } as const;
    return async () => void (await execa(binary, ['run', 'say done'], options));
  };
  const free = [await makeLane(), await makeLane()];
  for (const lane of free) await lane();
  const one = async () => {
    const lane = free.pop()!;
    await lane();
    free.push(lane);
  };
  return await measure(
    processes,
    () => runAtOnce(processes, processesAtOnce, one),
    () => cpuSecondsOf('self', 'children'),
  );
}

async function sdkOnDefaults({ model, directory }: Place, { prompts = 80, concurrency = 10 }: Settings): Promise<Metrics> {
  await using home = await temporaryWorkspace({ files: { 'opencode.json': JSON.stringify(model.opencodeConfig()) } });
  const { path: binary } = await findBinary();
  await using server = await startBareServer({ binary, directory, home: home.path });
  const client = createOpencodeClient({ baseUrl: server.url, directory });
  const one = async () => {
    const { data } = await client.session.create({});
    await client.session.prompt({ sessionID: data!.id, parts: [{ type: 'text', text: 'say done' }] });
  };
  await runAtOnce(concurrency, concurrency, one);
  return await measure(
    prompts,
    () => runAtOnce(prompts, concurrency, one),
    () => withUs(server.pid),
  );
}

/** CPU seconds of a server, of its children that have ended, and of this process. */
async function withUs(serverPid: number): Promise<number> {
  return (await cpuSecondsOfTree(serverPid)) + (await cpuSecondsOf('self', 'self'));
}

async function measure(prompts: number, run: () => Promise<void>, cpuSeconds: () => Promise<number>): Promise<Metrics> {
  const before = await cpuSeconds();
  const startedAtMs = performance.now();
  await run();
  const seconds = (performance.now() - startedAtMs) / 1000;
  const cpu = (await cpuSeconds()) - before;
  return { promptsPerSecond: prompts / seconds, cpuSecondsPerPrompt: cpu / prompts };
}
