import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { SessionPool } from '@opencode-manager/actors';
import { OpencodeManagerError, readOpencodeConfig, type ServerConfig } from '@opencode-manager/core';
import { digestOfConfiguration } from '@opencode-manager/runs';
import { execa } from 'execa';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { WorkerFlags } from '../flags.ts';
import { openManager, tellServers, type Manager } from '../manager/index.ts';
import { buildServerConfig, readPrices, turnSettings } from '../options/index.ts';
import { providerOf } from '../queue/manifest.ts';
import { queueOf } from '../queue/submit.ts';
import { printable } from '../render/index.ts';
import { reportError } from '../report-error.ts';
import { listenForStop, whenAborted, type StopSignals } from '../signals.ts';
import { parseDuration } from '../task-file/index.ts';
import type { Terminal } from '../terminal/index.ts';
import { startWorkerGuard } from '../worker/guard.ts';
import { serveHealth } from '../worker/health.ts';
import { QueueWorker, type WorkerOptions } from '../worker/worker.ts';

/** How long a task is held without a sign of its host, in milliseconds. */
const defaultLeaseMs = 60_000;

/** Shorter leases end by a pause of the machine. */
const shortestLeaseMs = 1000;

/** Tasks at once, where nobody says otherwise. */
const defaultConcurrency = 6;

/** `ocm worker`: takes tasks of a queue until a signal. */
export async function worker(terminal: Terminal, flags: WorkerFlags): Promise<ExitCode> {
  const note = (line: string) => terminal.notice(printable(line));
  using signals = listenForStop({ terminal, termDrains: true, onStep: (step) => note(stepNotes[step]) });
  const leaseMs = leaseOf(flags);
  await using client = await queueOf(flags);
  const doubt = await client.ledger.doubt();
  if (doubt !== undefined) note(`The queue ${client.address.shown} may lose what it was told: ${doubt}.`);
  const directory = await mkdtemp(join(resolve(flags.root ?? tmpdir()), 'ocm-worker-'));
  await using guard = startWorkerGuard({ directory, silenceMs: (leaseMs * 2) / 3 });
  const host = await startHost(terminal, flags, { directory, leaseMs, client, signals, note });
  const { manager } = host;
  guard.watch(`OPENCODE_MANAGER_RUN_ID=${manager.server.runId}`);
  try {
    return await workUntilStopped(terminal, flags, { ...host, signals });
  } finally {
    const report = await manager.stop();
    if (flags.json) terminal.record({ type: 'done', left_behind: report.stateDeleted ? null : manager.server.stateDir });
    else note('Stopped.');
  }
}

interface HostOptions extends Pick<WorkerOptions, 'client' | 'directory' | 'leaseMs' | 'note'> {
  readonly signals: StopSignals;
}

/** Starts the server, and what takes tasks for it. */
async function startHost(terminal: Terminal, flags: WorkerFlags, { signals, ...host }: HostOptions): Promise<Omit<Working, 'signals'>> {
  const { directory, note } = host;
  const shared = flags.artifacts === undefined ? undefined : await sharedDirectory(flags.artifacts);
  const home = join(directory, 'home');
  // A directory of its own: nothing above it is asked for configuration.
  await execa('git', ['init', '--quiet', home], { stdin: 'ignore' });
  const server = await serverOf(flags, home);
  const late: { worker?: QueueWorker } = {};
  const settings = await poolSettings(flags);
  const { config } = server;
  const manager = await openManager({
    config,
    pool: {
      ...settings,
      workspace: 'shared',
      workspaces: {
        acquire: (id, request) => late.worker!.source.acquire(id, request),
        reopen: (id, request) => late.worker!.source.reopen!(id, request),
      },
      repeat: false,
    },
    signals,
    redactor: terminal.redactor,
    onReaped: note,
    onSocketError: ({ code }) => note(`The socket of this worker cannot be opened (${code}): ocm sessions and the like will not reach it.`),
  });
  const taking = new QueueWorker({ ...host, ...server, pool: manager.pool, concurrency: settings.maxSessions, shared });
  late.worker = taking;
  return { manager, worker: taking };
}

/** @throws OpencodeManagerError `USAGE` for one that takes no files */
async function sharedDirectory(given: string): Promise<string> {
  const path = resolve(given);
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await rm(await mkdtemp(join(path, '.ocm-')), { recursive: true });
    return path;
  } catch (error) {
    throw new OpencodeManagerError(
      'USAGE',
      `--artifacts ${given} takes no files (${(error as Error).message}). Name a directory that all hosts see.`,
      {
        cause: error,
      },
    );
  }
}

const stepNotes = {
  drain: 'Taking no more tasks; those that run come to their end. Again gives them back to the queue.',
  abort: 'Giving back what runs. Again leaves it, and its leases end by themselves.',
  kill: 'Leaving what runs.',
} as const;

interface Working {
  readonly manager: Manager;
  readonly worker: QueueWorker;
  readonly signals: StopSignals;
}

async function workUntilStopped(terminal: Terminal, flags: WorkerFlags, { manager, worker: host, signals }: Working): Promise<ExitCode> {
  const { server, pool } = manager;
  const problem = () => host.problem;
  const running = () => host.running;
  await using health = flags.health === undefined ? undefined : await serveHealth({ address: flags.health, problem, running });
  const launch = { pid: process.pid, version: server.version, server_pid: server.pid, health: health?.url ?? null };
  if (flags.json) terminal.record({ type: 'launch', ...launch });
  else terminal.notice(`opencode ${server.version} on ${server.url}, worker ${process.pid}${health ? `, health ${health.url}` : ''}`);
  tellServers(pool, { notice: terminal.notice, ...(flags.json && { record: terminal.record }) });
  const stopListening = [
    whenAborted(signals.drain, () => host.drain()),
    whenAborted(signals.abort, () => host.abort()),
    whenAborted(signals.kill, () => host.giveUp()),
  ];
  const lost = onLoss(pool, () => host.abort());
  await host.work();
  for (const stop of stopListening) stop();
  const error = lost();
  if (error) return reportError(terminal, error, { json: flags.json === true });
  return exitCodes.ok;
}

/** A server that is lost for good: nothing more can run here. Gives why. */
function onLoss(pool: SessionPool, abort: () => void): () => OpencodeManagerError | undefined {
  let error: OpencodeManagerError | undefined;
  pool.on('pool.changed', ({ state }) => {
    if (state !== 'failed') return;
    const known = pool.snapshot().error;
    error = known ? OpencodeManagerError.from(known) : new OpencodeManagerError('SERVER_EXITED', 'The server is gone.');
    abort();
  });
  return () => error;
}

async function poolSettings(flags: WorkerFlags) {
  const prices = flags.prices === undefined ? undefined : await readPrices(flags.prices);
  const settings = await turnSettings(flags);
  return { ...settings, maxSessions: settings.maxSessions ?? defaultConcurrency, ...(prices && { prices }) };
}

function leaseOf({ lease }: WorkerFlags): number {
  if (lease === undefined) return defaultLeaseMs;
  const ms = parseDuration(lease, '--lease');
  if (ms >= shortestLeaseMs) return ms;
  throw new OpencodeManagerError('USAGE', `--lease ${lease} is too short; a pause of the machine would end it. Give at least 1s.`);
}

/** Tasks come later, so every provider that is configured or named may be asked. */
async function serverOf(flags: WorkerFlags, home: string): Promise<Pick<WorkerOptions, 'config' | 'configuration' | 'providers'>> {
  const config: ServerConfig = { ...(await buildServerConfig(flags)), directory: home };
  const given = await readOpencodeConfig(config);
  const { provider, model, enabled_providers: enabled } = given as { provider?: object; model?: string; enabled_providers?: string[] };
  const named = [...(config.enabledProviders ?? enabled ?? []), ...Object.keys(provider ?? {}), ...(flags.provider ?? [])];
  const own = typeof model === 'string' && model !== '' ? [providerOf(model)!] : [];
  const providers = new Set([...named, ...own]);
  const configuration = await digestOfConfiguration(config);
  return { config: { ...config, ...(providers.size > 0 && { enabledProviders: [...providers] }) }, configuration, providers };
}
