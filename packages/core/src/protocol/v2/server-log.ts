import type { UntoldEnd } from '../calls.ts';

// What opencode 2 prints of its log: one line a record, fields as `name=value`, values in quotes as JSON.

/** A record that tells of a value in a configuration file. */
const diagnostic = /^.*message="configuration normalization diagnostic" source=(\S+) path=(\S+) kind=(\S+) action=("[^"]*"|\S+)/gm;

/** Values in configuration files that opencode could not use, by their places in them. */
export function configurationComplaints(
  output: string,
  configFiles: readonly string[],
): { readonly invalid: readonly string[]; readonly unsupported: readonly string[] } {
  const told = [...output.matchAll(diagnostic)].filter(([, source = '']) => configFiles.includes(source));
  const places = (isWanted: (kind: string) => boolean) => [
    ...new Set(told.flatMap(([, , path = '', kind = '']) => (isWanted(kind) ? [path.replace(/^\$\.?/, '')] : []))),
  ];
  return { invalid: places((kind) => kind === 'invalid'), unsupported: places((kind) => kind !== 'invalid') };
}

/** Why a plugin could not be loaded, by what refers to the record of it; undefined when the log does not tell (any more). */
export function causeOfPlugin(output: string, reference: string): string | undefined {
  const cause = quotedCause(
    output.split('\n').findLast((one) => one.includes('failed to load plugin') && one.includes(`ref=${reference} `)),
  );
  if (cause === undefined) return undefined;
  // `Cause([Die(Error: what happened)])`, `Cause([Fail(NameOfError (cause: Error: what happened))])`, with a stack or without.
  const inner = /^Cause\(\[\w+\((.*?)(?:\)\]\))?$/.exec(cause)?.[1] ?? cause;
  return (/\(cause: (.*)\)$/.exec(inner)?.[1] ?? inner).replace(/^[\w.$]+: /, '');
}

/** Plugins that a configuration names by a file: opencode 2 takes them from directories, says so in its log, and lists none of them. */
export function pluginsByFile(output: string): string[] {
  const told = output.matchAll(/^.*message="configured plugin path must be a directory" target=("(?:[^"\\]|\\.)*"|\S+)/gm);
  return [...new Set(Array.from(told, ([, target = '']) => (target.startsWith('"') ? (JSON.parse(target) as string) : target)))];
}

/** The newest cause with which the turn of a session failed before it asked the model; undefined when the log tells none (any more). */
export function causeOfFailure(output: string, sessionId: string): string | undefined {
  const line = output.split('\n').findLast((one) => one.includes('level=ERROR') && one.includes(`sessionID=${sessionId}`));
  // `Name of the error: what it says`.
  return quotedCause(line)?.replace(/^[\w./]+: /, '');
}

/**
 * The end of an execution that opencode could not write to its database, as on a full disk: it gives the turn up, and says so in its log alone.
 */
export function untoldEnd(line: string): UntoldEnd | undefined {
  if (!line.includes('message="Failed to publish Session execution lifecycle"')) return undefined;
  const sessionId = /\bsessionID=(ses_\w+)/.exec(line)?.[1];
  const atMs = Date.parse(/^timestamp=(\S+)/.exec(line)?.[1] ?? '');
  if (sessionId === undefined || Number.isNaN(atMs)) return undefined;
  return { sessionId, atMs, cause: quotedCause(line)?.replace(/^[\w./]+: /, '') ?? 'opencode could not store how the turn ended.' };
}

/** The first line of a record's cause, without its stack. */
function quotedCause(line: string | undefined): string | undefined {
  const quoted = line && /\bcause=("(?:[^"\\]|\\.)*")/.exec(line)?.[1];
  if (!quoted) return undefined;
  try {
    return (JSON.parse(quoted) as string).split('\n', 1)[0];
  } catch {
    return undefined;
  }
}
