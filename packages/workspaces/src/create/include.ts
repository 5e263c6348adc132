import { constants, copyFile, lstat, mkdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathOf, readable, type ByteString } from '../git/bytes.ts';
import { inTree, type Part, type Run } from '../run.ts';

/**
 * Copies files of the source that no commit has: those that `.worktreeinclude` or the option `include` match and that are ignored, in the
 * source and at the base. A pattern alone must not carry work of the user's that is not committed yet into every workspace, and what the
 * base does not ignore would stand in the patch.
 */
export async function copyIncluded(run: Run, part: Part, workspace: string, scratch: string): Promise<boolean> {
  const { source } = run;
  if (!source || source.bare) return false;
  const patterns = `${await readFile(join(source.top, '.worktreeinclude'), 'latin1').catch(() => '')}\n${(run.options.include ?? []).join('\n')}\n`;
  if (/^\s*(#.*\s*)*$/.test(patterns)) return false;
  const file = join(scratch, 'include');
  await writeFile(file, patterns, 'latin1');
  const git = (await inTree(run, source, source.top, join(source.headDir, 'index'))).as('WORKSPACE_CREATE_FAILED');
  const matching = await git.list(['ls-files', '-z', '--others', '--ignored', `--exclude-from=${file}`]);
  if (matching.length === 0) return false;
  const ignored = await git.list(['check-ignore', '-z', '--stdin', '--no-index'], { input: zeroEnded(matching), accept: [0, 1] });
  const copied = await ignoredThere(run, part, workspace, ignored);
  for (const path of copied) await copyEntry(pathOf(source.top, path), pathOf(workspace, path));
  tellOmitted(
    run,
    ignored.filter((path) => !copied.has(path)),
  );
  return copied.size > 0;
}

function zeroEnded(paths: readonly ByteString[]): ByteString {
  return paths.map((path) => `${path}\0`).join('');
}

/** Of these paths, those that the base ignores and has no file at, nor a link or a submodule on the way to them. */
async function ignoredThere(run: Run, part: Part, workspace: string, paths: readonly ByteString[]): Promise<ReadonlySet<ByteString>> {
  const links = new Set(part.gitlinks.map(([path]) => path));
  const ways = new Map<ByteString, Promise<boolean>>();
  const leadsTo = (directory: ByteString): Promise<boolean> => {
    if (directory === '.') return Promise.resolve(true);
    const known = ways.get(directory) ?? (links.has(directory) ? Promise.resolve(false) : isWay(pathOf(workspace, directory)));
    ways.set(directory, known);
    return known.then((is) => is && leadsTo(dirname(directory)));
  };
  const reached = await Promise.all(paths.map(async (path) => ((await leadsTo(dirname(path))) ? [path] : [])));
  const git = (await inTree(run, part, workspace, part.index)).as('WORKSPACE_CREATE_FAILED');
  return new Set(await git.list(['check-ignore', '-z', '--stdin'], { input: zeroEnded(reached.flat()), accept: [0, 1] }));
}

/** A directory, or nothing yet. */
async function isWay(path: Buffer): Promise<boolean> {
  const there = await lstat(path).catch(() => undefined);
  return there === undefined || there.isDirectory();
}

/** What was told of a run: its workspaces are alike. */
const told = new WeakMap<Run, Set<string>>();

function tellOmitted(run: Run, omitted: readonly ByteString[]): void {
  const names = omitted.join('\0');
  const known = told.get(run) ?? new Set(['']);
  if (known.has(names)) return;
  told.set(run, known.add(names));
  const first = omitted.slice(0, 5).map(readable).join(', ');
  const message = `Not copied into workspaces, because the base does not ignore them and they would stand in the patch: ${first}${omitted.length > 5 ? ', ...' : ''}. Commit a .gitignore that names them.`;
  run.note({ code: 'include_not_ignored', message });
}

async function copyEntry(from: Buffer, to: Buffer): Promise<void> {
  const there = await lstat(from);
  await mkdir(Buffer.from(dirname(to.toString('latin1')), 'latin1'), { recursive: true });
  if (there.isSymbolicLink()) await symlink(await readlink(from, 'buffer'), to);
  else if (there.isFile()) await copyFile(from, to, constants.COPYFILE_FICLONE);
}
