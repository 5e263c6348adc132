// What opencode 2 prints of its log: one line a record, fields as `name=value`, values in quotes as JSON.

/** A record that tells of a value in a configuration file. */
const diagnostic = /^.*message="configuration normalization diagnostic" source=(\S+) path=(\S+) kind=(\S+) action=("[^"]*"|\S+)/gm;

/** Values in a configuration file that opencode could not use, by their places in it. */
export function configurationComplaints(
  output: string,
  configFile: string,
): { readonly invalid: readonly string[]; readonly unsupported: readonly string[] } {
  const told = [...output.matchAll(diagnostic)].filter(([, source]) => source === configFile);
  const places = (isWanted: (kind: string) => boolean) => [
    ...new Set(told.flatMap(([, , path = '', kind = '']) => (isWanted(kind) ? [path.replace(/^\$\.?/, '')] : []))),
  ];
  return { invalid: places((kind) => kind === 'invalid'), unsupported: places((kind) => kind !== 'invalid') };
}

/** The newest cause with which the turn of a session failed before it asked the model; undefined when the log tells none (any more). */
export function causeOfFailure(output: string, sessionId: string): string | undefined {
  const line = output.split('\n').findLast((one) => one.includes('level=ERROR') && one.includes(`sessionID=${sessionId}`));
  const quoted = line && /\bcause=("(?:[^"\\]|\\.)*")/.exec(line)?.[1];
  if (!quoted) return undefined;
  try {
    // `Name of the error: what it says`, and its stack.
    return (JSON.parse(quoted) as string).split('\n', 1)[0]!.replace(/^[\w.]+: /, '');
  } catch {
    return undefined;
  }
}
