import { resolve } from 'node:path';
import { outcomes, type Outcome } from '@opencode-manager/actors';
import { OpencodeManagerError } from '@opencode-manager/core';
import type { ResumeOptions, RunFile, RunOptions, RunSettings } from '@opencode-manager/runs';
import { parseCount, runLimits } from '../options/index.ts';
import type { ResumeFlags, RunFlags } from '../flags.ts';

/** What a command line asks for: a new run, or to go on with one. */
export interface BatchRequest {
  /** As it was named; `-` for standard input; undefined when there are prompts alone. */
  readonly file: string | undefined;
  /** As they were given. Of a run that is taken up what it was started with, with absolute paths, and over that what is given now. */
  readonly flags: RunFlags;
  /** What relative directories of tasks count from. */
  readonly baseDirectory: string;
  readonly resumed: ResumedRun | undefined;
}

/** The run that is taken up. */
interface ResumedRun {
  /** Absolute path of its directory. */
  readonly path: string;
  readonly run: RunFile;
  readonly policy: Pick<ResumeOptions, 'changed' | 'retryErrors' | 'redo' | 'takeOver'>;
}

/** Flags that name a file or a directory. */
const pathFlags = [
  'directory',
  'opencodeConfig',
  'opencodeConfigDir',
  'config',
  'binary',
  'stateDir',
  'authFile',
  'out',
  'patches',
  'root',
  'runDir',
  'prices',
] as const satisfies readonly (keyof RunFlags)[];

/** Flags that are of one start alone, and not of the run. */
const ofThisStart = [
  'json',
  'reporter',
  'playground',
  'open',
  'allowControl',
  'content',
  'append',
  'overwrite',
  'detach',
  'dryRun',
  'resume',
  'runDir',
  'port',
] as const satisfies readonly (keyof RunFlags)[];

export function newRequest(file: string | undefined, flags: RunFlags): BatchRequest {
  return { file, flags, baseDirectory: process.cwd(), resumed: undefined };
}

/** What `run.json` keeps of a request, so that a resume needs no flag again. */
export function factsOf({ file, flags, baseDirectory }: BatchRequest, settings: object): NonNullable<RunOptions['facts']> {
  const kept = Object.entries(absolute(flags)).filter(
    ([name, value]) => value !== undefined && !(ofThisStart as readonly string[]).includes(name),
  );
  return {
    source: file === '-' || file === undefined ? null : resolve(file),
    argv: process.argv.slice(2),
    configuration: { settings, flags: Object.fromEntries(kept), base_directory: baseDirectory, from_standard_input: file === '-' },
  };
}

/** The request that a run was started with, and what is given now over it. @throws OpencodeManagerError `USAGE` */
export function resumedRequest(path: string, run: RunFile, given: ResumeFlags): BatchRequest {
  const { configuration, source } = run;
  const { retryErrors, redo, changed, takeOver, tasks, explain: _explain, ...now } = given;
  const before = (configuration['flags'] ?? {}) as RunFlags;
  refuseQueued(configuration);
  refuseRedacted(before, now);
  const outcomesToRetry = retryErrors === undefined ? undefined : retryErrors === true ? true : outcomesIn(retryErrors);
  return {
    file: tasks ?? source ?? (configuration['from_standard_input'] === true ? '-' : undefined),
    // Results that its --out has already are not written again.
    flags: { ...before, ...absolute(now), append: before.out !== undefined || now.out !== undefined ? true : undefined },
    baseDirectory: typeof configuration['base_directory'] === 'string' ? configuration['base_directory'] : run.directory,
    resumed: {
      path,
      run,
      policy: {
        ...(changed !== undefined && { changed: changed as 'fail' | 'rerun' | 'keep' }),
        ...(outcomesToRetry !== undefined && { retryErrors: outcomesToRetry }),
        ...(redo && { redo }),
        ...(takeOver && { takeOver }),
      },
    },
  };
}

/** Its tasks are those of workers: here they would run a second time. @throws OpencodeManagerError `USAGE` */
function refuseQueued({ queue }: RunFile['configuration']): void {
  if (queue === undefined) return;
  const { url, run } = queue as { readonly url: string; readonly run: string };
  throw new OpencodeManagerError('USAGE', `This run is on a queue. Go on with it there: ocm run --queue ${url} --run ${run}`);
}

/** What a flag held of secrets was not kept: what is left of it is another flag. @throws OpencodeManagerError `USAGE` */
function refuseRedacted(before: RunFlags, now: object): void {
  const lost = Object.entries(before).find(([name, value]) => !(name in now) && JSON.stringify(value)?.includes('[redacted]'));
  if (!lost) return;
  const flag = `--${lost[0].replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw new OpencodeManagerError(
    'USAGE',
    `${flag} held a secret when the run began, which was not kept. Give it again: ocm resume ... ${flag} ...`,
  );
}

function absolute<Flags extends Partial<RunFlags>>(flags: Flags): Flags {
  const paths = pathFlags.flatMap((name) => (typeof flags[name] === 'string' ? [[name, resolve(flags[name])] as const] : []));
  const { permissions } = flags;
  const isFile = permissions !== undefined && permissions !== 'allow' && permissions !== 'deny';
  return { ...flags, ...Object.fromEntries(paths), ...(isFile && { permissions: resolve(permissions) }) };
}

function outcomesIn(text: string): readonly Outcome[] {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !(outcomes as readonly string[]).includes(name));
  if (unknown === undefined) return names as Outcome[];
  throw new OpencodeManagerError('USAGE', `--retry-errors: ${JSON.stringify(unknown)} is no outcome. Use some of ${outcomes.join(', ')}.`);
}

/** @throws OpencodeManagerError `USAGE` */
export function runSettings(flags: RunFlags, concurrency: number | undefined): NonNullable<RunOptions['settings']> {
  const { failFast, maxFailures, onQuota } = flags;
  if (failFast !== undefined && maxFailures !== undefined)
    throw new OpencodeManagerError(
      'USAGE',
      '--fail-fast ends the run at the first failure and --max-failures at a later one; leave out one.',
    );
  return {
    limits: runLimits(flags),
    ...(concurrency !== undefined && { concurrency }),
    ...(failFast !== undefined && { failFast: failFast === 'now' ? ('now' as const) : ('soon' as const) }),
    ...(maxFailures !== undefined && { maxFailures: failuresIn(maxFailures) }),
    ...(onQuota !== undefined && { onQuota: quotaPolicyIn(onQuota) }),
  };
}

/** The model that `--on-quota` falls back to; undefined for its other words. */
export function fallbackIn(text: string | undefined): string | undefined {
  return text === undefined ? undefined : /^fallback:([^/]+\/.+)$/.exec(text)?.[1];
}

function quotaPolicyIn(text: string): RunSettings['onQuota'] {
  if (text === 'wait' || text === 'fail') return text;
  const fallback = fallbackIn(text);
  if (fallback !== undefined) return { fallback };
  throw new OpencodeManagerError(
    'USAGE',
    `--on-quota: ${JSON.stringify(text)} is none of wait, fail and fallback:provider/model, such as fallback:openai/gpt-5.`,
  );
}

function failuresIn(text: string): { readonly count: number } | { readonly share: number } {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1];
  if (percent === undefined) return { count: parseCount(text, '--max-failures', { min: 1, max: 1_000_000 }) };
  const share = Number(percent) / 100;
  if (share > 0 && share <= 1) return { share };
  throw new OpencodeManagerError('USAGE', `--max-failures: ${text} is not above 0 and at most 100 %.`);
}
