import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBinary, OpencodeManagerError, protocolOfVersion, type BinaryInfo } from '@opencode-manager/core';
import { protocolNamed } from '@opencode-manager/core/protocol';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { ManagerClient } from '../manager-socket/index.ts';
import type { AttachFlags } from '../flags.ts';
import type { Terminal } from '../terminal/index.ts';
import { withManager } from './client.ts';

/** Variables of the terminal itself; nothing else of the user's environment reaches the interface. */
const passedVariables =
  /^(?:PATH|TERM|TERMINFO|TERM_PROGRAM.*|COLORTERM|NO_COLOR|LANG|LC_.*|TZ|SHELL|USER|LOGNAME|DISPLAY|WAYLAND_DISPLAY|TMUX.*|SSH_TTY|EDITOR|VISUAL)$/;

/** `ocm attach`: opencode's own interface on the server of a running manager, with a private home of its own. */
export function attach(terminal: Terminal, flags: AttachFlags): Promise<ExitCode> {
  return withManager(flags, async (manager, signal) => {
    if (terminal.streams.stdout.isTTY !== true)
      throw new OpencodeManagerError(
        'USAGE',
        "ocm attach opens opencode's interface and needs a terminal. For scripts there are ocm prompt and ocm events.",
      );
    const binary = await findBinary(flags.binary === undefined ? {} : { binary: flags.binary });
    refuseOther(binary, manager.run.version);
    const home = await mkdtemp(join(tmpdir(), 'opencode-manager-attach-'));
    try {
      return await runInterface(binary, flags, { manager, signal, home, env: terminal.env });
    } finally {
      await rm(home, { recursive: true, force: true, maxRetries: 3 });
    }
  });
}

/** The interface of one major version is nothing to the server of another. @throws `VERSION_UNSUPPORTED` */
function refuseOther({ version, protocol, path }: BinaryInfo, ofServer: string): void {
  if (protocolOfVersion(ofServer) === protocol) return;
  throw new OpencodeManagerError(
    'VERSION_UNSUPPORTED',
    `The server is opencode ${ofServer}, and the interface of ${version} (${path}) cannot use it. Name the server's own binary with --binary.`,
    { details: { version, server: ofServer } },
  );
}

interface InterfaceContext {
  readonly manager: ManagerClient;
  readonly signal: AbortSignal;
  readonly home: string;
  readonly env: NodeJS.ProcessEnv;
}

async function runInterface(
  { path, protocol }: BinaryInfo,
  flags: AttachFlags,
  { manager, signal, home, env }: InterfaceContext,
): Promise<ExitCode> {
  const { url, username, password } = await manager.call('credentials', {}, { signal });
  const to = { url, directory: manager.run.directory, sessionId: flags.session, username, password };
  const opened = protocolNamed(protocol).process.attach(to);
  const environment = { ...(await privateEnvironment(home, env)), ...opened.environment };
  const child = spawn(path, opened.arguments, { stdio: 'inherit', cwd: home, env: environment });
  const stop = () => child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  const [code] = (await once(child, 'exit')) as [number | null];
  signal.removeEventListener('abort', stop);
  return code === 0 || signal.aborted ? exitCodes.ok : exitCodes.failed;
}

/** The interface keeps logs, a history and settings of its own; they must not be the user's. */
async function privateEnvironment(home: string, env: NodeJS.ProcessEnv): Promise<Record<string, string>> {
  const passed = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined && passedVariables.test(entry[0]));
  const places = {
    HOME: home,
    XDG_CONFIG_HOME: 'config',
    XDG_DATA_HOME: 'data',
    XDG_STATE_HOME: 'state',
    XDG_CACHE_HOME: 'cache',
    XDG_RUNTIME_DIR: 'run',
    TMPDIR: 'tmp',
  };
  const paths = Object.entries(places).map(([name, place]) => [name, name === 'HOME' ? home : join(home, place)] as const);
  for (const [, path] of paths) await mkdir(path, { recursive: true, mode: 0o700 });
  return { ...Object.fromEntries(passed), ...Object.fromEntries(paths), npm_config_offline: 'true' };
}
