import { open, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { OpencodeManagerError } from '@opencode-manager/core';
import type { RunInfo, TraceHeader } from '@opencode-manager/playground/trace';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { parseCount } from '../options/index.ts';
import { servePage } from '../playground/index.ts';
import type { PlaygroundFlags } from '../program/care-commands.ts';
import { aborted, listenForStop } from '../signals.ts';
import type { Terminal } from '../terminal/index.ts';

/** Longest first line of a trace that is read: it holds the definitions of the machines. */
const headerBytes = 1024 * 1024;

/** `ocm playground`: serves the page until Ctrl-C; with a file, the run recorded in it. */
export async function playground(terminal: Terminal, file: string | undefined, flags: PlaygroundFlags): Promise<ExitCode> {
  using signals = listenForStop();
  const info = file === undefined ? simulation : await infoOf(file);
  const port = flags.port === undefined ? 0 : parseCount(flags.port, '--port', { min: 0, max: 65_535 });
  await using page = await servePage({ info, port, ...(file !== undefined && { trace: () => readFile(file, 'utf8') }) });
  if (flags.json) terminal.record({ type: 'playground', url: page.url });
  else terminal.result(page.url);
  terminal.notice('Open this address in a browser; it works once. Ctrl-C ends the page.');
  await aborted(signals.drain);
  return exitCodes.ok;
}

const simulation: RunInfo = { mode: 'simulation', title: 'Simulation', control: true, content: true };

/** @throws OpencodeManagerError `USAGE` when the file is no trace */
async function infoOf(file: string): Promise<RunInfo> {
  const header = parseHeader(await firstLine(file));
  if (!header)
    throw new OpencodeManagerError(
      'USAGE',
      `${file} is not a trace of the playground. Export one from its page (Export, Run as a trace file).`,
    );
  return { mode: 'trace', title: `${header.title} (${basename(file)})`, control: false, content: header.content === true };
}

async function firstLine(file: string): Promise<string> {
  try {
    await using handle = await open(file);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(headerBytes), 0, headerBytes, 0);
    return buffer.toString('utf8', 0, bytesRead).split('\n')[0] ?? '';
  } catch (error) {
    throw new OpencodeManagerError('USAGE', `${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)}).`, {
      cause: error,
    });
  }
}

function parseHeader(line: string): Partial<TraceHeader> | undefined {
  try {
    const header = JSON.parse(line) as Partial<TraceHeader>;
    return header.format === 'opencode-manager-trace' && header.version === 1 ? header : undefined;
  } catch {
    return undefined;
  }
}
