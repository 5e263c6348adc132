import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Git } from './git.ts';
import type { Source } from './source.ts';
import type { Setting, UserSettings } from './user-settings.ts';

/** Of the source's own configuration, what says how files are written and read, and for whom objects are. */
const aboutFiles = /^core\.(autocrlf|eol|filemode|symlinks|ignorecase|precomposeunicode|sharedrepository)$/;

/**
 * Makes the git directory with which every tree is checked out and read. It knows the user's filters and the source's rules, and nothing
 * that an agent writes: an agent may delete its `.git`, or write filters, hooks and lies about the index into it, and changes nothing here.
 */
export async function makeToolsDirectory(git: Git, directory: string, source: Source | undefined, user: UserSettings): Promise<void> {
  await git.run(['init', '--quiet', '--bare', '--template=', `--object-format=${source?.format ?? 'sha1'}`, directory]);
  const storage: Setting[] = source ? [['lfs.storage', join(source.gitDir, 'lfs')]] : [];
  const settings = [...user.filters, ...(source?.settings.filter(([key]) => aboutFiles.test(key)) ?? []), ...storage];
  await appendFile(join(directory, 'config'), configText(settings));
  await mkdir(join(directory, 'info'), { recursive: true });
  const infoOf = (name: string) => (source ? readFile(join(source.gitDir, 'info', name), 'latin1').catch(() => '') : '');
  await writeFile(join(directory, 'info', 'exclude'), `${user.excludes}\n${await infoOf('exclude')}`, 'latin1');
  await writeFile(join(directory, 'info', 'attributes'), await infoOf('attributes'), 'latin1');
}

/** Settings as a configuration file holds them. */
export function configText(settings: readonly Setting[]): string {
  return settings.map(([key, value]) => `${section(key)}\t${key.slice(key.lastIndexOf('.') + 1)} = ${quoted(value)}\n`).join('');
}

function section(key: string): string {
  const parts = key.split('.');
  const middle = parts.slice(1, -1).join('.');
  return middle === '' ? `[${parts[0]}]\n` : `[${parts[0]} ${quoted(middle)}]\n`;
}

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, String.raw`\$&`).replaceAll('\n', String.raw`\n`)}"`;
}
