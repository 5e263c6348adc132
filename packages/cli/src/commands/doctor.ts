import { resolve } from 'node:path';
import {
  describeForeign,
  partKindNames,
  findBinary,
  findLeftovers,
  isManagerError,
  launchServer,
  listForeignRuns,
  listRuns,
  managerOf,
  reapLeftovers,
  supportedVersions,
  toManagerError,
  type BinaryInfo,
  type ConfiguredPart,
  type Leftover,
  type OpencodeServer,
} from '@opencode-manager/core';
import { startScriptedModel, temporaryWorkspace } from '@opencode-manager/testing';
import { exitCodeOf, exitCodes, type ExitCode } from '../exit-codes.ts';
import { environmentHolds, startIsolationWatch, type CheckStatus } from '../isolation-report/index.ts';
import { outputOf } from '../manager/index.ts';
import { buildServerConfig } from '../options/index.ts';
import type { DoctorFlags } from '../flags.ts';
import { formatDuration, plural } from '../render/index.ts';
import { listenForStop } from '../signals.ts';
import type { Terminal } from '../terminal/index.ts';
import { leftWorkspaces } from '../workspaces/index.ts';

interface Finding {
  readonly name: string;
  /** `note` is something to know, not something wrong. */
  readonly status: CheckStatus | 'note';
  readonly detail: string;
  /** The exit code that a failure of this kind asks for. */
  readonly exitCode?: ExitCode;
}

const marks = { ok: '✓', failed: '✗', unknown: '?', note: 'i' } as const;

/** `ocm doctor`: looks at the binary, starts a server to check its isolation, and finds what dead managers left. */
export async function doctor(terminal: Terminal, flags: DoctorFlags): Promise<ExitCode> {
  using signals = listenForStop({ terminal });
  let exitCode: ExitCode = exitCodes.ok;
  for await (const finding of examine(flags, signals.drain)) {
    print(terminal, finding, flags.json === true);
    if (finding.status === 'failed') exitCode = Math.max(exitCode, finding.exitCode ?? exitCodes.failed) as ExitCode;
  }
  exitCode = signals.exitCode ?? exitCode;
  if (flags.json) terminal.record({ type: 'done', ok: exitCode === exitCodes.ok, exit_code: exitCode });
  return exitCode;
}

function print(terminal: Terminal, { name, status, detail }: Finding, json: boolean): void {
  if (json) return terminal.record({ type: 'check', name, status, detail });
  const { colors } = terminal;
  const paint = { ok: colors.green, failed: colors.red, unknown: colors.yellow, note: colors.blue }[status];
  terminal.result(`${paint(marks[status])} ${colors.bold(name)}: ${detail}`);
}

async function* examine(flags: DoctorFlags, signal: AbortSignal): AsyncGenerator<Finding> {
  yield { name: 'platform', status: 'ok', detail: `${process.platform} ${process.arch}, Node ${process.versions.node}` };
  yield {
    name: 'supported',
    status: 'note',
    detail: Object.entries(supportedVersions)
      .map(
        ([protocol, { min, below, tested }]) =>
          `opencode from ${min} up to, not including, ${below} (${protocol}; tested: ${tested.join(', ')})`,
      )
      .join('; '),
  };
  const binary = await orFinding('binary', () => findBinary(flags.binary === undefined ? {} : { binary: flags.binary }));
  if ('status' in binary) yield binary;
  else {
    yield {
      name: 'binary',
      status: 'ok',
      detail: `opencode ${binary.version} (protocol ${binary.protocol}, ${testedOr(binary)}), found by ${sourceNames[binary.source]}: ${binary.path}`,
    };
    if (!signal.aborted) yield* selfTest(binary, signal);
    if (!signal.aborted && namesConfiguration(flags)) yield* configurationFindings(flags, signal);
  }
  if (flags.queue !== undefined) yield await queueFinding(flags.queue);
  yield sandboxNote;
  yield* leftovers(flags.reap === true);
  for (const finding of await leftWorkspaces(resolve(flags.directory ?? '.'), flags.reap === true))
    yield { name: 'workspaces', ...finding };
}

/** A version that was not tested is looked over at each start: it must have all that is used of it. */
function testedOr({ protocol, version }: BinaryInfo): string {
  return supportedVersions[protocol].tested.includes(version) ? 'a tested version' : 'not a tested version';
}

/** Whether a queue is there, and keeps what it was told. */
async function queueFinding(url: string): Promise<Finding> {
  // Drivers of queues are loaded by those who have one alone.
  const { openQueue } = await import('@opencode-manager/queue');
  const client = await orFinding('queue', () => openQueue(url));
  if ('status' in client) return client;
  await using queue = client;
  const doubt = await queue.ledger.doubt();
  const { shown } = queue.address;
  if (doubt === undefined) return { name: 'queue', status: 'ok', detail: `${shown} answers, and nothing is known against its durability` };
  return { name: 'queue', status: 'failed', detail: `${shown} may lose tasks and results: ${doubt}` };
}

const sourceNames = {
  option: 'the option --binary',
  OPENCODE_BIN: 'OPENCODE_BIN',
  PATH: 'PATH',
  package: 'the installed package',
} as const;

const sandboxNote: Finding = {
  name: 'sandbox',
  status: 'note',
  detail:
    'isolation is hygiene, not a sandbox: tools run as your user and can read what you can read, the memory of the server included; run untrusted work in a container or a virtual machine',
};

/** Starts a server on a scripted model, asks a tool what it sees, and checks what is left after the stop. */
async function* selfTest(binary: BinaryInfo, signal: AbortSignal): AsyncGenerator<Finding> {
  const watch = await startIsolationWatch();
  await using workspace = await temporaryWorkspace();
  await using model = await startScriptedModel();
  const startedAt = performance.now();
  const server = await orFinding('server', () =>
    launchServer({ directory: workspace.path, binary: binary.path, opencodeConfig: model.opencodeConfig(), signal }),
  );
  if ('status' in server) {
    yield server;
    return;
  }
  let stopped: Finding;
  try {
    yield { name: 'server', status: 'ok', detail: `ready after ${formatDuration(performance.now() - startedAt)} on ${server.url}` };
    await watch.inspect(server);
    yield await toolFinding(server);
    yield await passwordFinding(server);
    await watch.inspect(server);
  } finally {
    stopped = await stopFinding(server);
  }
  yield stopped;
  yield* await watch.finish(server);
}

/** What a tool sees: a shell line prints its environment, which must hold no password. */
async function toolFinding(server: OpencodeServer): Promise<Finding> {
  const name = 'tools';
  const answer = await orFinding(name, async () => {
    const session = await server.createSession({ title: 'ocm doctor' });
    return { environment: outputOf(await session.executeShell('env', { timeoutMs: 30_000 })) };
  });
  if ('status' in answer) return answer;
  if (!answer.environment.includes('OPENCODE_MANAGER_RUN_ID='))
    return { name, status: 'unknown', detail: 'the shell line did not print its environment' };
  if (answer.environment.includes(server.credentials().password))
    return { name, status: 'failed', detail: "a shell line sees the server's password" };
  return { name, status: 'ok', detail: "a shell line runs, and does not see the server's password" };
}

/** Whether the server has overwritten its password where every process of this user could read it. */
async function passwordFinding(server: OpencodeServer): Promise<Finding> {
  const name = 'password';
  const shown = await environmentHolds(server.pid, server.credentials().password);
  if (shown === undefined) return { name, status: 'unknown', detail: 'not checked: the environment of the server cannot be read here' };
  if (shown) return { name, status: 'failed', detail: `the server still shows its password in /proc/${server.pid}/environ` };
  return { name, status: 'ok', detail: `the server has overwritten its password in /proc/${server.pid}/environ` };
}

const namesConfiguration = ({ opencodeConfig, opencodeConfigDir, config }: DoctorFlags): boolean =>
  [opencodeConfig, opencodeConfigDir, config].some((given) => given !== undefined);

/** Starts a server as the other commands would, and says of all that is configured whether it works. Sends nothing to a model. */
async function* configurationFindings(flags: DoctorFlags, signal: AbortSignal): AsyncGenerator<Finding> {
  const name = 'configuration';
  const server = await orFinding(name, async () => launchServer({ ...(await buildServerConfig(flags)), signal }));
  if ('status' in server) {
    yield server;
    return;
  }
  try {
    for (const note of server.notes()) yield { name, status: 'note', detail: note };
    const parts = await orFinding(name, () => server.parts({ settled: true, signal }));
    if ('status' in parts) yield parts;
    else yield* parts.map(partFinding);
  } finally {
    await server.stop();
  }
}

function partFinding(part: ConfiguredPart): Finding {
  const { kind, name, status, reason } = part;
  const marked = { alive: 'ok', failed: 'failed', disabled: 'note', starting: 'unknown', unknown: 'unknown' } as const;
  return { name: `${partKindNames[kind]} ${name}`, status: marked[status], detail: reason ?? (status === 'alive' ? 'works' : status) };
}

async function stopFinding(server: OpencodeServer): Promise<Finding> {
  const report = await orFinding('stop', () => server.stop());
  if ('status' in report) return report;
  return { name: 'stop', status: 'ok', detail: `gone after ${formatDuration(report.durationMs)} (${report.endedBy}); its port is free` };
}

async function* leftovers(reap: boolean): AsyncGenerator<Finding> {
  const runs = await listRuns();
  const pids = runs.map(({ managerPid }) => managerPid).join(', ');
  yield { name: 'managers', status: 'ok', detail: runs.length === 0 ? 'none is running' : `${runs.length} running: ${pids}` };
  yield await leftoverFinding(await findLeftovers(), reap);
  yield* foreignFindings();
}

/** Whose the records are that nothing is done about: pids of other containers and machines cannot be looked up here. */
async function* foreignFindings(): AsyncGenerator<Finding> {
  for (const record of await listForeignRuns()) {
    const detail = `${describeForeign(managerOf(record))} owns ${record.stateDir}; left alone, since it may be alive there`;
    yield { name: 'elsewhere', status: 'note', detail };
  }
}

async function leftoverFinding(found: readonly Leftover[], reap: boolean): Promise<Finding> {
  const name = 'leftovers';
  if (found.length === 0) return { name, status: 'ok', detail: 'no dead manager left anything' };
  const processes = found.reduce((sum, leftover) => sum + leftover.processes.length, 0);
  const places = found.map(({ record }) => record.stateDir).join(', ');
  const what = `${plural(found.length, 'dead manager')} left ${plural(processes, 'process', 'processes')} and ${places}`;
  if (!reap) return { name, status: 'failed', detail: `${what}. Remove it with: ocm doctor --reap` };
  const done = await reapLeftovers(found);
  const ended = plural(done.processes, 'process', 'processes');
  const did = `${what}; ended ${ended}, removed ${plural(done.directories, 'directory', 'directories')}`;
  const still = await findLeftovers();
  if (still.length === 0) return { name, status: 'ok', detail: did };
  const pids = still.flatMap((leftover) => leftover.processes.map(({ pid }) => pid)).join(', ');
  return { name, status: 'failed', detail: `${did}; these could not be ended: ${pids}` };
}

/** The value, or what to say of the error. */
async function orFinding<Value extends object>(name: string, work: () => Promise<Value>): Promise<Value | Finding> {
  try {
    return await work();
  } catch (thrown) {
    const error = toManagerError(thrown);
    const detail = `${error.code}: ${error.message}${isManagerError(thrown) && error.output ? `\n${error.output.trimEnd().split('\n').slice(-5).join('\n')}` : ''}`;
    return { name, status: 'failed', detail, exitCode: exitCodeOf(error.code) };
  }
}
