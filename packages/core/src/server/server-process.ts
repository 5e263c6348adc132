import { execa } from 'execa';
import { OpencodeManagerError } from '../errors/index.ts';
import { createOutputRing } from '../process/output-ring.ts';
import { signalProcess } from '../process/table.ts';
import type { ProtocolProcess } from '../protocol/index.ts';
import type { Redactor } from '../secrets/index.ts';
import { createUntoldEnds, type UntoldEnds } from './untold-ends.ts';
import type { ServerExit } from './types.ts';

/** The process of one server, from its spawn to its end. */
export interface ServerProcess {
  readonly pid: number;
  readonly exited: Promise<ServerExit>;
  /** Set once the process has ended. */
  exit(): ServerExit | undefined;
  readonly output: () => string;
  /** Ends of turns that its log alone tells of. */
  readonly untoldEnds: UntoldEnds;
  /** Resolves with the url of the ready line. @throws `SERVER_START_FAILED`, `SERVER_START_TIMEOUT`, `REQUEST_ABORTED` */
  ready(deadlineMs: number, signal: AbortSignal | undefined): Promise<string>;
  /** Sends a signal to the server's process group. */
  signal(signal: NodeJS.Signals): void;
  /** Ends its standard input, where that is a pipe; gives whether it is. */
  endInput(): boolean;
  /** From now on an end of the process is expected. */
  expectExit(): void;
}

export interface ServerProcessOptions {
  readonly protocol: ProtocolProcess;
  readonly binary: string;
  readonly hostname: string;
  readonly port: number;
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Takes the secrets out of what is shown of the output. */
  readonly redactor: Redactor;
}

/** Characters of output that are kept. */
const outputLimit = 64 * 1024;

/**
 * Spawns the native binary. It must be called on the main thread. Both pipes are drained for the process's whole life:
 * an unread pipe would fill inside the server.
 */
export function spawnServer({ protocol, binary, hostname, port, directory, environment, redactor }: ServerProcessOptions): ServerProcess {
  const ring = createOutputRing(outputLimit, (text) => redactor.text(text));
  const untoldEnds = createUntoldEnds(protocol, redactor);
  const url = Promise.withResolvers<string>();
  url.promise.catch(() => undefined);
  let expected = false;
  let exit: ServerExit | undefined;

  const child = execa(binary, protocol.arguments(hostname, port), {
    cwd: directory,
    env: environment,
    extendEnv: false,
    stdin: protocol.input,
    buffer: false,
    reject: false,
    // Makes a process group, so that a Ctrl-C on the terminal does not end the server before its turns are drained.
    killDescendants: true,
    forceKillAfterDelay: false,
    cleanup: true,
  });
  let unmatched = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    ring.push(chunk);
    if (exit !== undefined || unmatched === 'found') return;
    unmatched = (unmatched + chunk).slice(-4096);
    const match = protocol.readyLine.exec(unmatched);
    if (!match) return;
    unmatched = 'found';
    url.resolve(match[1]!);
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    ring.push(chunk);
    untoldEnds.push(chunk);
  });
  // It is written to by nobody, and closed when the process ends.
  child.stdin?.on('error', () => undefined);

  const exited = child.then(({ exitCode, signal, cause, shortMessage }): ServerExit => {
    exit = { exitCode, signal, expected, atMs: Date.now() };
    const why = exitCode === undefined ? (signal ?? shortMessage ?? 'unknown') : `exit code ${exitCode}`;
    url.reject(notReady(why, ring.read(), { exitCode, signal, cause }));
    return exit;
  });

  return {
    pid: child.pid ?? 0,
    exited,
    exit: () => exit,
    output: () => ring.read(),
    untoldEnds,
    ready: (deadlineMs, signal) => withDeadline(url.promise, deadlineMs, signal, () => ring.read()),
    signal(signal) {
      if (exit === undefined && child.pid !== undefined) signalProcess(-child.pid, signal);
    },
    endInput() {
      if (!child.stdin) return false;
      child.stdin.end();
      return true;
    },
    expectExit() {
      expected = true;
    },
  };
}

function notReady(
  why: string,
  output: string,
  { cause, ...exit }: { readonly exitCode: number | undefined; readonly signal: string | undefined; readonly cause: unknown },
): OpencodeManagerError {
  return new OpencodeManagerError(
    'SERVER_START_FAILED',
    `Phase ready line: the server ended (${why}) before it was ready. ${lastLine(output)}`,
    { details: { phase: 'ready line', ...exit }, output, cause },
  );
}

async function withDeadline(
  ready: Promise<string>,
  deadlineMs: number,
  signal: AbortSignal | undefined,
  output: () => string,
): Promise<string> {
  const ended = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    ended.reject(
      new OpencodeManagerError(
        'SERVER_START_TIMEOUT',
        `Phase ready line: the server did not say that it listens within ${deadlineMs} ms. ${lastLine(output())}`,
        {
          details: { phase: 'ready line', deadlineMs },
          output: output(),
        },
      ),
    );
  }, deadlineMs);
  const onAbort = () => ended.reject(startAborted());
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([ready, ended.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** The answer to an abort while a server starts. */
export function startAborted(): OpencodeManagerError {
  return new OpencodeManagerError('REQUEST_ABORTED', 'The start of the server was aborted by the caller.');
}

/** The last line of output, for messages; the whole tail travels in the error's `output`. */
function lastLine(output: string): string {
  const line = output.trim().split('\n').at(-1)?.trim();
  return line ? `Its last line: ${line.slice(0, 300)}` : 'It printed nothing.';
}
