import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { failure } from '../errors.ts';

export type Setting = readonly [key: string, value: string];

/** What counts of the user's own git configuration, read as the user and outside any repository. */
export interface UserSettings {
  readonly filters: readonly Setting[];
  readonly safeDirectories: readonly string[];
  /** The user's ignore file. */
  readonly excludes: string;
}

const counted = /^(filter\..*\.(clean|smudge|process|required)|core\.(autocrlf|eol))$/;
const variables = ['PATH', 'HOME', 'XDG_CONFIG_HOME', 'GIT_CONFIG_GLOBAL', 'GIT_CONFIG_SYSTEM', 'GIT_CONFIG_NOSYSTEM'];

/** @throws `GIT_UNUSABLE` */
export async function readUserSettings(): Promise<UserSettings> {
  await checkVersion();
  const all = [...(await settingsOf('--system')), ...(await settingsOf('--global'))];
  const valueOf = (key: string) => all.findLast(([name]) => name === key)?.[1];
  return {
    filters: all.filter(([key]) => counted.test(key)),
    safeDirectories: all.filter(([key]) => key === 'safe.directory').map(([, value]) => value),
    excludes: await readFile(excludesFile(valueOf('core.excludesfile')), 'latin1').catch(() => ''),
  };
}

function excludesFile(named: string | undefined): string {
  if (named !== undefined) return named.replace(/^~(?=\/)/, homedir());
  return join(process.env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'git', 'ignore');
}

async function settingsOf(scope: '--system' | '--global'): Promise<Setting[]> {
  const { stdout, failed } = await gitOfUser(['config', scope, '--includes', '--list', '-z']);
  return failed ? [] : settingsIn(stdout);
}

/** The settings in the output of `git config --list -z`. */
export function settingsIn(output: string): Setting[] {
  const entries = output.split('\0').filter((entry) => entry !== '');
  return entries.map((entry) => {
    const [key = '', ...value] = entry.split('\n');
    // A key without `=` is true.
    return [key, entry.includes('\n') ? value.join('\n') : 'true'];
  });
}

async function checkVersion(): Promise<void> {
  const { stdout, code } = await gitOfUser(['--version']);
  const [, major = 0, minor = 0] = (/(\d+)\.(\d+)/.exec(stdout ?? '') ?? []).map(Number);
  if (major > 2 || (major === 2 && minor >= 34)) return;
  const found = code === 'ENOENT' || stdout === undefined ? 'none was found on PATH' : `found ${stdout.trim()}`;
  throw failure('GIT_UNUSABLE', `git 2.34 or newer is needed; ${found}.`);
}

function gitOfUser(args: readonly string[]) {
  const env = Object.fromEntries(variables.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
  return execa('git', args, { cwd: '/', env, extendEnv: false, reject: false, stdin: 'ignore' });
}
