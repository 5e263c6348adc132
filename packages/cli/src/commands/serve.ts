import type { SessionPool } from '@opencode-manager/actors';
import { OpencodeManagerError } from '@opencode-manager/core';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { knownParts, launchRecord, openManager, tellParts, tellServers, type Manager } from '../manager/index.ts';
import { checkPageFlags, openPage, supportPages, type PageSupport } from '../playground/index.ts';
import { buildServerConfig, turnSettings } from '../options/index.ts';
import type { ServeFlags } from '../flags.ts';
import { printable } from '../render/index.ts';
import { reportError } from '../report-error.ts';
import { ServedRuns } from '../served-runs/index.ts';
import { aborted, listenForStop, type StopSignals } from '../signals.ts';
import type { Terminal } from '../terminal/index.ts';

/** `ocm serve`: a server and a pool until a signal, or until the server ends by itself. */
export async function serve(terminal: Terminal, flags: ServeFlags): Promise<ExitCode> {
  using signals = listenForStop({ terminal, onStep: (step) => terminal.notice(stepNotes[step]) });
  checkPageFlags(flags);
  // Pages may come and go while it serves: ocm playground asks for one.
  const support = supportPages('ocm serve');
  const config = await buildServerConfig(flags, { profile: 'interactive' });
  const settings = await turnSettings(flags);
  const served = new ServedRuns({ config, flags, note: (line) => terminal.notice(printable(line)) });
  try {
    return await serveUntilStopped({ terminal, flags, signals, support, served }, () =>
      openManager({
        config,
        pool: { ...settings, ...support.pool },
        signals,
        redactor: terminal.redactor,
        onReaped: terminal.notice,
        pages: support.pages,
        startRun: (manager, request) => served.start(manager, request),
      }),
    );
  } catch (error) {
    if (signals.exitCode !== undefined) return signals.exitCode;
    throw error;
  }
}

const stepNotes = {
  drain: 'Stopping when running turns have finished; again aborts them.',
  abort: 'Aborting running turns; again kills the server.',
  kill: 'Killing the server.',
} as const;

interface ServeContext {
  readonly terminal: Terminal;
  readonly flags: ServeFlags;
  readonly signals: StopSignals;
  readonly support: PageSupport;
  readonly served: ServedRuns;
}

async function serveUntilStopped(
  { terminal, flags, signals, support, served }: ServeContext,
  open: () => Promise<Manager>,
): Promise<ExitCode> {
  terminal.notice('Starting an isolated opencode server ...');
  const manager = await open();
  try {
    const parts = await knownParts(manager.server);
    if (flags.json) terminal.record(launchRecord(manager, parts));
    else describe(terminal, manager);
    for (const note of manager.server.notes()) terminal.notice(printable(note));
    const listener = { notice: terminal.notice, ...(flags.json && { record: terminal.record }) };
    tellParts(manager.server, parts, listener);
    tellServers(manager.pool, listener);
    const page = { terminal, title: 'ocm serve', json: flags.json === true, note: terminal.notice };
    await using _page = await openPage(manager, support, flags, page);
    const lost = serverLost(manager.pool);
    const end = await Promise.race([aborted(signals.drain), lost, stoppedFromPage(manager.pool)]);
    if (end) return reportError(terminal, end, { json: flags.json === true });
    // Runs first: what they would begin, a draining pool refuses.
    await Promise.race([served.drain().then(() => manager.pool.drain()), aborted(signals.abort), lost]);
    return signals.exitCode ?? exitCodes.ok;
  } finally {
    // Their ends are written before the server goes.
    await Promise.race([served.abort(), aborted(signals.kill)]);
    const report = await manager.stop();
    if (flags.json)
      terminal.record({ type: 'done', left_behind: report.stateDeleted ? null : manager.server.stateDir, duration_ms: report.durationMs });
    else
      terminal.notice(
        report.stateDeleted ? 'Stopped; nothing is left behind.' : `Stopped; the state is kept in ${manager.server.stateDir}.`,
      );
  }
}

function describe({ notice, result, noticeColors: colors }: Terminal, { server }: Manager): void {
  result(server.url);
  notice(`opencode ${server.version}, profile ${server.profile}, workspace ${server.directory}`);
  notice(`manager ${process.pid}, server ${server.pid}, state ${server.stateDir}`);
  notice(colors.dim('Try: ocm prompt new "Say hello"   ocm sessions   ocm events   ocm attach   ocm playground   (Ctrl-C stops)'));
}

/** Resolves when a page has stopped or drained the pool: there is nothing left to serve with. */
function stoppedFromPage(pool: SessionPool): Promise<undefined> {
  return new Promise((resolve) => pool.on('pool.changed', ({ state }) => state === 'stopped' && resolve(undefined)));
}

/** Resolves when the server is lost for good. */
function serverLost(pool: SessionPool): Promise<OpencodeManagerError> {
  return new Promise((resolve) => {
    const look = () => {
      const { state, error } = pool.snapshot();
      if (state === 'failed')
        resolve(error ? OpencodeManagerError.from(error) : new OpencodeManagerError('SERVER_EXITED', 'The server is gone.'));
    };
    pool.on('pool.changed', look);
    look();
  });
}
