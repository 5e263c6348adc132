import { execFile } from 'node:child_process';
import { exhaustionOf } from '../../errors/index.ts';

/** A value of git's configuration, by its full key (`filter.lfs.clean`); undefined is a key without a value, which git takes for true. */
export type GitValue = readonly [key: string, value: string | undefined];

/** What is taken over of the user's git configuration. */
export interface GitValues {
  readonly values: readonly GitValue[];
  /** Why nothing could be read, in a sentence. */
  readonly note?: string;
}

/** git answers within milliseconds, unless a file that it includes makes it wait. */
const timeoutMs = 5000;

const taken = /^(user\.(name|email)|filter\..+|safe\.directory|core\.autocrlf|init\.defaultbranch)$/;
const rewritten = /^url\.(.+)\.insteadof$/s;

/** Variables of the user that say which files git reads. */
const passed = ['PATH', 'HOME', 'XDG_CONFIG_HOME', 'GIT_CONFIG_GLOBAL', 'GIT_CONFIG_SYSTEM', 'GIT_CONFIG_NOSYSTEM'];

/**
 * The user's identity, filters and trusted directories, from git's global and system files with what they include. git is run once, as
 * the user and outside any repository. Hooks, credential helpers, signing and commands of other kinds are never among them.
 */
export async function readGitValues(git: 'user' | 'private', source: NodeJS.ProcessEnv = process.env): Promise<GitValues> {
  if (git === 'private') return { values: [] };
  const env = Object.fromEntries(passed.map((name) => [name, source[name]]).filter(([, value]) => value !== undefined));
  const options = {
    cwd: '/',
    env: { ...env, GIT_DIR: '/nonexistent' },
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: 4 * 1024 * 1024,
  } as const;
  return new Promise((settle, fail) => {
    execFile('git', ['config', '--list', '--includes', '--show-scope', '-z'], options, (error, stdout, stderr) => {
      const exhausted = exhaustionOf(error);
      if (exhausted) return fail(exhausted);
      if (!error) return settle({ values: parse(stdout).filter(isTaken) });
      // Without git there is nothing to take over.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return settle({ values: [] });
      const why = error.killed ? `git did not answer within ${timeoutMs / 1000} s` : (stderr.trim().split('\n').at(-1) ?? '');
      settle({ values: [], note: `Your git configuration could not be read, so that tools go without your identity and filters: ${why}` });
    });
  });
}

/** Scope, then key and value, each ended by NUL. */
function parse(text: string): GitValue[] {
  const fields = text.split('\0');
  const values: GitValue[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    if (fields[at] !== 'system' && fields[at] !== 'global') continue;
    const entry = fields[at + 1]!;
    const end = entry.indexOf('\n');
    values.push(end === -1 ? [entry, undefined] : [entry.slice(0, end), entry.slice(end + 1)]);
  }
  return values;
}

function isTaken([key, value]: GitValue): boolean {
  const address = rewritten.exec(key)?.[1];
  if (address === undefined) return taken.test(key);
  return !holdsUser(address) && !holdsUser(value ?? '');
}

/** `https://token@host/`; the `git@` of an ssh address is no secret. */
function holdsUser(address: string): boolean {
  const user = /^[a-z][a-z\d+.-]*:\/\/([^/@]*)@/i.exec(address)?.[1];
  return user !== undefined && !/^(git|ssh)$/.test(user);
}

/** Directories in which the user lets git work although they belong to somebody else. */
export function trustedDirectories({ values }: GitValues): string[] {
  return values.filter(([key]) => key === 'safe.directory').map(([, value]) => value ?? '');
}

/** A git configuration file of these values. */
export function gitConfigText(values: readonly GitValue[]): string {
  return values
    .map(([key, value]) => {
      const first = key.indexOf('.');
      const last = key.lastIndexOf('.');
      const subsection = first === last ? '' : ` "${key.slice(first + 1, last).replaceAll(/["\\]/g, '\\$&')}"`;
      const assignment = value === undefined ? '' : ` = ${quoted(value)}`;
      return `[${key.slice(0, first)}${subsection}]\n\t${key.slice(last + 1)}${assignment}\n`;
    })
    .join('');
}

function quoted(value: string): string {
  const escaped = value.replaceAll(/["\\]/g, '\\$&').replaceAll('\n', '\\n').replaceAll('\t', '\\t');
  return `"${escaped}"`;
}
