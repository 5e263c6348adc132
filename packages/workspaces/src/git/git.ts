import { access } from 'node:fs/promises';
import { exhaustionOf, OpencodeManagerError, type ErrorCode } from '@opencode-manager/core/errors';
import { execa } from 'execa';
import { entriesOf, readable, type ByteString } from './bytes.ts';

export type Environment = Readonly<Record<string, string>>;

/**
 * Stands above every configuration file, so that nothing that an agent wrote into one runs or counts: no hook, no fsmonitor, no fetch, no
 * helper. Which filters there are, is decided by the git directory that we use (see `tools-directory.ts`), never by one that an agent had.
 */
const guards: Environment = {
  'core.hooksPath': '/dev/null',
  'core.fsmonitor': 'false',
  'core.attributesFile': '/dev/null',
  'core.excludesFile': '/dev/null',
  'core.untrackedCache': 'false',
  'core.splitIndex': 'false',
  'core.safecrlf': 'false',
  'core.logAllRefUpdates': 'false',
  'core.fsync': 'committed,reference',
  'core.fsyncMethod': 'batch',
  'index.sparse': 'false',
  'submodule.recurse': 'false',
  'protocol.allow': 'never',
  'credential.helper': '',
  'gc.auto': '0',
  'maintenance.auto': 'false',
};

const identity = { NAME: 'opencode-manager', EMAIL: 'opencode-manager@localhost' };

/** The environment of every git: the tools' own one, and what keeps configuration of anybody out. */
export function gitEnvironment(tools: Environment, safeDirectories: readonly string[]): Environment {
  const settings = [...Object.entries(guards), ...safeDirectories.map((path) => ['safe.directory', path] as const)];
  const kept = Object.entries(tools).filter(([name]) => !name.startsWith('GIT_'));
  return {
    ...Object.fromEntries(kept),
    ...Object.fromEntries(
      settings.flatMap(([key, value], n) => [
        [`GIT_CONFIG_KEY_${n}`, key],
        [`GIT_CONFIG_VALUE_${n}`, value],
      ]),
    ),
    ...Object.fromEntries(
      ['AUTHOR', 'COMMITTER'].flatMap((who) => Object.entries(identity).map(([name, value]) => [`GIT_${who}_${name}`, value])),
    ),
    LC_ALL: 'C',
    GIT_CONFIG_COUNT: String(settings.length),
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_ALLOW_PROTOCOL: 'none',
    GIT_DEFAULT_REF_FORMAT: 'files',
    GIT_NO_LAZY_FETCH: '1',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_TERMINAL_PROMPT: '0',
  };
}

export interface GitAnswer {
  readonly stdout: ByteString;
  readonly stderr: string;
  readonly exitCode: number;
}

export interface GitCall {
  /** Standard input. */
  readonly input?: ByteString;
  /** A file as standard input. */
  readonly inputFile?: string;
  /** Leaves standard output to the caller. */
  readonly streamed?: boolean;
  /** Exit codes that are answers. Default: 0. */
  readonly accept?: readonly number[];
}

/** git with an environment, started in a directory of ours. Immutable: `at` and `as` give another one. */
export class Git {
  readonly directory: string;
  readonly environment: Environment;
  private readonly code: ErrorCode;

  constructor(directory: string, environment: Environment, code: ErrorCode = 'INTERNAL') {
    this.directory = directory;
    this.environment = environment;
    this.code = code;
  }

  /** With variables, such as `GIT_DIR`. */
  at(variables: Environment): Git {
    return new Git(this.directory, { ...this.environment, ...variables }, this.code);
  }

  /** The code of the errors that it throws. */
  as(code: ErrorCode): Git {
    return new Git(this.directory, this.environment, code);
  }

  /** Starts git; the caller reads its pipes. */
  start(args: readonly string[], { input = '', inputFile, streamed = false }: GitCall = {}) {
    return execa('git', args, {
      cwd: this.directory,
      env: this.environment,
      extendEnv: false,
      ...(inputFile === undefined ? { input: Buffer.from(input, 'latin1') } : { inputFile }),
      encoding: 'latin1',
      buffer: { stdout: !streamed },
      maxBuffer: 2 ** 29,
      stripFinalNewline: false,
      reject: false,
      // A group of its own: a Ctrl-C on the terminal must not end a git that saves a result.
      killDescendants: true,
    });
  }

  async run(args: readonly string[], call: GitCall = {}): Promise<GitAnswer> {
    const result = await this.start(args, call);
    const { stdout, stderr, exitCode } = result;
    if (exitCode !== undefined && (call.accept ?? [0]).includes(exitCode)) return { stdout: stdout ?? '', stderr, exitCode };
    throw await this.failed(args, result);
  }

  /** What git printed, without the end of its last line. */
  async text(args: readonly string[], call?: GitCall): Promise<string> {
    return readable((await this.run(args, call)).stdout).trimEnd();
  }

  /** The entries of an output with `-z`. */
  async list(args: readonly string[], call?: GitCall): Promise<ByteString[]> {
    return entriesOf((await this.run(args, call)).stdout);
  }

  /** The error for a git that ended otherwise than it should. */
  async failed(
    args: readonly string[],
    result: { stderr?: string | undefined; exitCode?: number | undefined; shortMessage?: string | undefined; code?: unknown },
  ): Promise<OpencodeManagerError> {
    const exhausted = exhaustionOf(result);
    if (exhausted) return exhausted;
    if (result.code === 'ENOENT') return this.missing(result);
    const said = readable(result.stderr ?? '')
      .trim()
      .slice(-2000);
    const last = said.split('\n').findLast((line) => /^(fatal|error):/.test(line)) ?? said.split('\n').at(-1) ?? '';
    const full = /No space left on device|Disk quota exceeded/.test(said);
    return new OpencodeManagerError(
      this.code,
      `git ${args[0] ?? ''} ended with ${result.exitCode ?? result.shortMessage ?? 'a signal'}: ${last}`,
      {
        details: { command: ['git', ...args.slice(0, 8)], exitCode: result.exitCode ?? null },
        ...(said !== '' && { output: said }),
        ...(full && { cause: Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' }) }),
      },
    );
  }

  private async missing(cause: unknown): Promise<OpencodeManagerError> {
    const there = await access(this.directory).then(
      () => true,
      () => false,
    );
    if (!there) return new OpencodeManagerError('WORKSPACE_GONE', `${this.directory} does not exist any more.`, { cause });
    return new OpencodeManagerError('GIT_UNUSABLE', 'git was not found on PATH. Install git 2.34 or newer.', { cause });
  }
}
