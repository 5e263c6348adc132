import { OpencodeManagerError } from '@opencode-manager/core';
import type { RunFlags } from '../flags.ts';

/** What standard output tells of a run. */
export type ReportOutput = 'default' | 'json' | 'junit' | 'github';

export interface Reporters {
  readonly output: ReportOutput;
  /** Where a JUnit report goes besides. */
  readonly junitFile?: string;
}

const names: readonly string[] = ['default', 'json', 'junit', 'github'] satisfies ReportOutput[];

/**
 * What `--reporter` and `--json` ask for. One of them has standard output; `junit=FILE` leaves it to another.
 * @throws OpencodeManagerError `USAGE`
 */
export function reportersOf({ reporter = [], json }: Pick<RunFlags, 'reporter' | 'json'>): Reporters {
  const outputs = new Set<ReportOutput>(json ? ['json'] : []);
  const files = new Set<string>();
  for (const text of reporter) {
    const [name, file] = splitOnce(text);
    if (!names.includes(name)) throw usage(`${JSON.stringify(name)} is no reporter. Use one of ${names.join(', ')}.`);
    if (file === undefined) outputs.add(name as ReportOutput);
    else if (name !== 'junit') throw usage(`${name} writes to standard output; only junit takes a file.`);
    else if (file === '') throw usage('junit= names no file. Write junit=FILE, or junit for standard output.');
    else files.add(file);
  }
  outputs.delete('default');
  const [output = 'default', other] = outputs;
  if (other !== undefined)
    throw usage(`${output} and ${other} would both write to standard output. Leave out one, or write the report with junit=FILE.`);
  const [junitFile, second] = files;
  if (second !== undefined) throw usage(`a report goes to one file; ${junitFile} and ${second} are named.`);
  return { output, ...(junitFile !== undefined && { junitFile }) };
}

/** The flags with what `--reporter json` means. @throws OpencodeManagerError `USAGE` */
export function withReporters<Flags extends Pick<RunFlags, 'reporter' | 'json' | 'detach'>>(flags: Flags): Flags {
  const { output } = reportersOf(flags);
  if (flags.detach && (output === 'junit' || output === 'github'))
    throw usage(`${output} writes to standard output, which a run in the background has not. Use junit=FILE.`);
  return output === 'json' ? { ...flags, json: true } : flags;
}

function splitOnce(text: string): readonly [string, string | undefined] {
  const at = text.indexOf('=');
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function usage(why: string): OpencodeManagerError {
  return new OpencodeManagerError('USAGE', `--reporter: ${why}`, { details: { option: '--reporter' } });
}
