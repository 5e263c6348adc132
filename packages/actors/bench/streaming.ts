// What turns cost whose model writes for a while, as real ones do: the CPU of a turn, and how much longer it takes than the model
// writes. Sessions of a pool on one server or shared between two, and `opencode run`, a process for each.
//
//   pnpm bench streaming
//
// The model is scripted and writes at a steady rate, so that without anything in between all turns would take equally long. CPU of a turn is that
// of the servers and their children or of the `opencode run` processes, and of this process, in which the model runs too, for all of them.
import { execa } from 'execa';
import { findBinary, launchServer } from '@opencode-manager/core';
import { createSessionPool } from '@opencode-manager/actors';
import { cpuSecondsOf, cpuSecondsOfTree, median, privateEnvironment, runCase, type Metrics, type Settings } from '@opencode-manager/bench';
import { startScriptedModel, temporaryWorkspace } from '@opencode-manager/testing';

/** What a model of today writes in one answer, and how fast. */
const usual = { sessions: 10, tokens: 300, tokensPerSecond: 40 };

await runCase({
  'one server': (settings) => onServers(1, settings),
  'two servers': (settings) => onServers(2, settings),
  'opencode run': inProcesses,
});

async function onServers(count: number, settings: Settings): Promise<Metrics> {
  await using stack = new AsyncDisposableStack();
  const { sessions, ...given } = { ...usual, ...settings };
  const { directory, opencodeConfig } = await startPlace(stack, given);
  const launch = async () => stack.use(await launchServer({ directory, opencodeConfig }));
  const servers = await Promise.all(Array.from({ length: count }, launch));
  const maxSessions = Math.ceil(sessions / count);
  const pools = await Promise.all(servers.map(async (server) => stack.use(await createSessionPool({ server, maxSessions }))));
  const turn = (prompt: string) => async (index: number) => {
    const { outcome, error } = await pools[index % count]!.run({ prompt });
    if (outcome !== 'succeeded') throw new Error(`a task ended as ${outcome}: ${error?.message}`);
  };
  // The compiler's work on hot code is not the price of a turn.
  await Promise.all(Array.from({ length: Math.max(20, sessions) }, (_, index) => turn('warm up')(index)));
  const serverSeconds = async () => (await Promise.all(servers.map(({ pid }) => cpuSecondsOfTree(pid)))).reduce((sum, part) => sum + part);
  return await measure(sessions, given, turn('write'), serverSeconds);
}

/** Each has a warm home of its own: in a shared one the processes fail on locks. */
async function inProcesses(settings: Settings): Promise<Metrics> {
  await using stack = new AsyncDisposableStack();
  const { sessions, ...given } = { ...usual, ...settings };
  const { directory, opencodeConfig } = await startPlace(stack, given);
  const { path: binary } = await findBinary();
  const files = { 'opencode.json': JSON.stringify(opencodeConfig) };
  const homes = await Promise.all(Array.from({ length: sessions }, async () => stack.use(await temporaryWorkspace({ files }))));
  const turn = (prompt: string) => async (index: number) => {
    const env = privateEnvironment(homes[index]!.path);
    await execa(binary, ['run', prompt], { cwd: directory, env, extendEnv: false, stdin: 'ignore' });
  };
  for (const index of homes.keys()) await turn('warm up')(index);
  return await measure(sessions, given, turn('write'), () => cpuSecondsOf('self', 'children'));
}

interface Writing {
  readonly tokens: number;
  readonly tokensPerSecond: number;
}

async function startPlace(stack: AsyncDisposableStack, { tokens, tokensPerSecond }: Writing) {
  const text = Array.from({ length: tokens }, () => 'word').join(' ');
  const rules = [
    { when: { user: 'warm up' }, reply: 'Done.' },
    { when: { user: 'write' }, reply: { text, tokensPerSecond } },
  ];
  const model = stack.use(await startScriptedModel({ rules }));
  const workspace = stack.use(await temporaryWorkspace({ files: { 'a.txt': 'a\n' } }));
  return { directory: workspace.path, opencodeConfig: model.opencodeConfig() };
}

/** All turns at once. */
async function measure(
  sessions: number,
  { tokens, tokensPerSecond }: Writing,
  turn: (index: number) => Promise<void>,
  opencodeSeconds: () => Promise<number>,
): Promise<Metrics> {
  const before = { opencode: await opencodeSeconds(), own: await cpuSecondsOf('self', 'self') };
  const startedAtMs = performance.now();
  const secondsSince = () => (performance.now() - startedAtMs) / 1000;
  const turnSeconds = await Promise.all(Array.from({ length: sessions }, (_, index) => turn(index).then(secondsSince)));
  const seconds = secondsSince();
  const used = { opencode: (await opencodeSeconds()) - before.opencode, own: (await cpuSecondsOf('self', 'self')) - before.own };
  return {
    cpuSecondsPerTurn: (used.opencode + used.own) / sessions,
    opencodeCores: used.opencode / seconds,
    deltasPerSecond: (sessions * tokens) / seconds,
    timesTheModel: (median(turnSeconds) * tokensPerSecond) / tokens,
  };
}
