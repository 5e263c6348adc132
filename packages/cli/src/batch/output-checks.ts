import { fstatSync, realpathSync, statSync, type Stats } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { OpencodeManagerError } from '@opencode-manager/core';
import type { RunFlags } from '../flags.ts';
import { isSameFile, statsOf, type Terminal } from '../terminal/index.ts';
import type { OutputMode } from './output-file.ts';
import { reportersOf } from './reporters.ts';

interface Place {
  readonly name: string;
  readonly stats: Stats | undefined;
}

/** @throws OpencodeManagerError `USAGE` for flags that mean nothing together */
export function outputMode({ out, append, overwrite }: RunFlags): OutputMode {
  const problem =
    append && overwrite
      ? '--append adds to what --out holds and --overwrite replaces it; leave out one'
      : out === undefined && (append || overwrite)
        ? `${append ? '--append' : '--overwrite'} belongs to --out; give that too`
        : undefined;
  if (problem !== undefined) throw new OpencodeManagerError('USAGE', `${problem}.`);
  return append ? 'append' : overwrite ? 'overwrite' : 'new';
}

/**
 * Refuses outputs that would destroy an input or each other, however they are named: before the inputs are read and anything is
 * opened for writing.
 * @throws OpencodeManagerError `OUTPUT_UNUSABLE`
 */
export function refuseSharedOutputs(terminal: Terminal, file: string | undefined, flags: RunFlags): void {
  refuseInState(flags);
  const { streams } = terminal;
  const out: Place = { name: `--out ${flags.out}`, stats: flags.out === undefined ? undefined : lookAt(flags.out) };
  const { junitFile } = reportersOf(flags);
  const report: Place = { name: `--reporter junit=${junitFile}`, stats: junitFile === undefined ? undefined : lookAt(junitFile) };
  const stdout = streamPlace('standard output', streams.stdout);
  const stderr = streamPlace('standard error', streams.stderr);
  if (terminal.env['OCM_STDOUT'] === 'closed' && flags.out === undefined)
    throw unusable('standard output is closed, and there is no --out: the results would go nowhere');
  for (const input of inputsOf(file, flags))
    for (const output of [out, report, stdout])
      if (input.stats?.isFile() && isSameFile(output.stats, input.stats)) throw unusable(`${output.name} is also ${input.name}`);
  for (const output of [stdout, stderr])
    for (const ours of [out, report])
      if (!output.isSink && isSameFile(ours.stats, output.stats)) throw unusable(`${ours.name} is also ${output.name}`);
  if (flags.out !== undefined && junitFile !== undefined && resolve(flags.out) === resolve(junitFile))
    throw unusable(`${out.name} is also ${report.name}`);
}

/** The server's own files would be overwritten, and what it empties at its end would be lost. */
function refuseInState(flags: RunFlags): void {
  const { out, patches, root, stateDir } = flags;
  if (stateDir === undefined) return;
  const { junitFile: report } = reportersOf(flags);
  for (const [flag, path] of Object.entries({ '--out': out, '--patches': patches, '--root': root, '--reporter': report })) {
    if (path === undefined) continue;
    const way = relative(realPlace(stateDir), realPlace(path));
    if (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way))
      throw unusable(`${flag} ${path} is in the state directory ${stateDir}`);
  }
}

/** The real path of the nearest directory above that exists, with the rest of the path. */
function realPlace(path: string): string {
  const whole = resolve(path);
  try {
    return realpathSync(whole);
  } catch {
    const above = dirname(whole);
    return above === whole ? whole : join(realPlace(above), basename(whole));
  }
}

/** `/dev/null` and its like may be given twice. */
function streamPlace(name: string, stream: { readonly isTTY?: boolean }): Place & { readonly isSink: boolean } {
  const stats = statsOf(stream);
  return { name, stats, isSink: stats?.isCharacterDevice() === true && stream.isTTY !== true };
}

function inputsOf(file: string | undefined, flags: RunFlags): Place[] {
  const named: Readonly<Record<string, string | undefined>> = {
    'the task file': file === '-' ? undefined : file,
    'the file of --opencode-config': flags.opencodeConfig,
    'the file of --config': flags.config,
    'the file of --auth-file': flags.authFile,
    'the file of --permissions': flags.permissions,
  };
  const places = Object.entries(named).map(([name, path]) => ({ name, stats: path === undefined ? undefined : lookAt(path) }));
  return file === '-' ? [...places, { name: 'standard input', stats: stdinStats() }] : places;
}

function stdinStats(): Stats | undefined {
  try {
    return fstatSync(0);
  } catch {
    return undefined;
  }
}

function lookAt(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    // What is wrong with it is said where it is read or opened.
    return undefined;
  }
}

function unusable(why: string): OpencodeManagerError {
  return new OpencodeManagerError('OUTPUT_UNUSABLE', `${why}. Name another one. Nothing was started.`);
}
