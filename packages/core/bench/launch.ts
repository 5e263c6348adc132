// From the call of launchServer to a server that has answered with its own configuration, and on to the end of a first turn,
// beside the bare binary in the same isolation: to its listening line, and to its first answer about a directory.
//
//   pnpm bench launch
import { cpuSecondsOfTree, opencode2Binary, runCase, startBareServer, type BareServer, type Metrics } from '@opencode-manager/bench';
import { findBinary, launchServer, type OpencodeServer } from '@opencode-manager/core';
import { startScriptedModel, temporaryWorkspace } from '@opencode-manager/testing';
import { residentBytes } from '../src/process/table.ts';

await runCase({
  launchServer: () => launched({}),
  'catalogued provider': () => launched({ enabled_providers: ['scripted', 'anthropic'] }),
  'opencode 2': () => launched({}, opencode2Binary()),
  relaunch: relaunched,
  'listening line': () => bare(async () => {}),
  'first answer': () => bare(firstAnswer, firstTurn),
});

interface Clock {
  /** Time since the start of the server, and the CPU that it has used. */
  read(pid: number): Promise<Metrics>;
}

function startClock(name: string): Clock {
  const startedAtMs = performance.now();
  return {
    async read(pid) {
      const ms = performance.now() - startedAtMs;
      return { [`${name}Ms`]: ms, [`${name}CpuSeconds`]: await cpuSecondsOfTree(pid) };
    },
  };
}

async function launched(config: object, binary?: string): Promise<Metrics> {
  await using model = await startScriptedModel({ rules: [{ reply: 'Done.' }] });
  await using workspace = await temporaryWorkspace({ files: { 'a.txt': 'a\n' } });
  const [ready, turn] = [startClock('ready'), startClock('turn')];
  await using server = await launchServer({
    directory: workspace.path,
    opencodeConfig: { ...model.opencodeConfig(), ...config },
    ...(binary !== undefined && { binary }),
  });
  return { ...(await ready.read(server.pid)), ...(await turnOf(server, turn)) };
}

/** The same after the server was killed: what a user waits for at a recovery. */
async function relaunched(): Promise<Metrics> {
  await using model = await startScriptedModel({ rules: [{ reply: 'Done.' }] });
  await using workspace = await temporaryWorkspace({ files: { 'a.txt': 'a\n' } });
  await using server = await launchServer({ directory: workspace.path, opencodeConfig: { ...model.opencodeConfig() } });
  process.kill(server.pid, 'SIGKILL');
  await server.exited;
  const [ready, turn] = [startClock('ready'), startClock('turn')];
  await using next = await server.relaunch();
  return { ...(await ready.read(next.pid)), ...(await turnOf(next, turn)) };
}

async function turnOf(server: OpencodeServer, clock: Clock): Promise<Metrics> {
  const session = await server.createSession({ title: 'bench' });
  await session.prompt('say done');
  return { ...(await clock.read(server.pid)), residentMb: (await server.residentBytes()) / 2 ** 20 };
}

async function bare(untilReady: (server: BareServer) => Promise<void>, thenTurn?: (server: BareServer) => Promise<void>): Promise<Metrics> {
  await using model = await startScriptedModel({ rules: [{ reply: 'Done.' }] });
  await using workspace = await temporaryWorkspace({ files: { 'a.txt': 'a\n' } });
  const config = { ...model.opencodeConfig(), snapshot: false, lsp: false, formatter: false };
  await using home = await temporaryWorkspace({ files: { 'opencode.json': JSON.stringify(config) } });
  const { path: binary } = await findBinary();
  const [ready, turn] = [startClock('ready'), startClock('turn')];
  const env = { OPENCODE_DISABLE_DEFAULT_PLUGINS: '1' };
  await using server = await startBareServer({ binary, directory: workspace.path, home: home.path, env });
  await untilReady(server);
  const untilThen = await ready.read(server.pid);
  if (!thenTurn) return untilThen;
  await thenTurn(server);
  return { ...untilThen, ...(await turn.read(server.pid)), residentMb: ((await residentBytes(server.pid)) ?? 0) / 2 ** 20 };
}

async function firstAnswer(server: BareServer): Promise<void> {
  await ask(server, '/config');
}

async function firstTurn(server: BareServer): Promise<void> {
  const { id } = (await ask(server, '/session', { title: 'bench' })) as { id: string };
  await ask(server, `/session/${id}/message`, { parts: [{ type: 'text', text: 'say done' }] });
}

async function ask({ url, directory }: BareServer, path: string, body?: unknown): Promise<unknown> {
  const posted = body === undefined ? {} : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  return (await fetch(`${url}${path}?directory=${encodeURIComponent(directory)}`, posted)).json();
}
