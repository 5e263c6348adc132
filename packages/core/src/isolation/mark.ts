import { readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProtocolName } from '../protocol/index.ts';

/** The file that makes a directory a state directory of ours. What carries no mark is never written to, emptied or deleted. */
export const markName = 'opencode-manager-state.json';

/** For whoever finds the directory. */
const markProduct = 'opencode-manager';

/** Of the directory's layout; a newer one is not touched. */
const layoutVersion = 1;

/** Of a state whose mark names none: it was made before there was another one. */
const earliestProtocol = 'v1';

const protocols: ReadonlySet<unknown> = new Set<ProtocolName>(['v1', 'v2']);

/** What stands in a state directory of the versions without a mark. */
const earlierNames: ReadonlySet<string> = new Set(
  'home config data cache state run tmp managed opencode.json gitconfig no-models.json manager.lock'.split(' '),
);

/** Only a directory of ours holds it. */
const ownPlugin = join('config', 'opencode', 'plugin', 'opencode-manager-tool-environment.js');

/** What a directory is to us; a reason when it is somebody else's. */
export type Recognition = 'empty' | 'ours' | { readonly foreign: string };

/** Looks at a directory that is to be used, without changing it. @throws the system's own error when it cannot be read */
export async function recognise(directory: string): Promise<Recognition> {
  const recognised = await ownerOf(directory);
  if (recognised !== 'ours') return recognised;
  // What is written through a link lands elsewhere.
  const link = (await readdir(directory, { withFileTypes: true })).find((entry) => entry.isSymbolicLink());
  return link === undefined ? 'ours' : { foreign: `${link.name} in it is a link to somewhere else` };
}

async function ownerOf(directory: string): Promise<Recognition> {
  const names = (await readdir(directory)).filter((name) => name !== 'lost+found');
  if (names.length === 0) return 'empty';
  if (names.includes(markName)) return readMark(directory);
  const strange = names.find((name) => !earlierNames.has(name.replace(/^(manager\.lock)\..*$/, '$1')));
  if (strange !== undefined) return { foreign: `it holds ${strange}` };
  return (await isEarlierState(directory)) ? 'ours' : { foreign: 'no manager has marked it as its own' };
}

async function readMark(directory: string): Promise<Recognition> {
  const text = await readFile(join(directory, markName), 'utf8');
  // Another manager is about to write it.
  if (text === '') return 'ours';
  const { product, layout, protocol = earliestProtocol } = parsed(text);
  if (product !== markProduct || typeof layout !== 'number') return { foreign: `its ${markName} is not one of ours` };
  if (layout > layoutVersion) return { foreign: `a newer version made it (layout ${layout}, this one knows ${layoutVersion})` };
  return protocols.has(protocol) ? 'ours' : { foreign: `a newer version made it (protocol ${JSON.stringify(protocol)})` };
}

async function isEarlierState(directory: string): Promise<boolean> {
  const lock = parsed(await readFile(join(directory, 'manager.lock'), 'utf8').catch(() => ''));
  if (typeof lock['runId'] === 'string' && typeof lock['startTime'] === 'string') return true;
  return readFile(join(directory, ownPlugin)).then(
    () => true,
    () => false,
  );
}

function parsed(text: string): Record<string, unknown> {
  try {
    return (JSON.parse(text) as Record<string, unknown> | null) ?? {};
  } catch {
    return {};
  }
}

/** Marks a directory as ours; one that is marked stays as it is. */
export async function writeMark(directory: string, protocol: ProtocolName): Promise<void> {
  await writeFile(join(directory, markName), markOf(protocol), { mode: 0o600, flag: 'wx' }).catch(refuseUnless('EEXIST'));
}

/** Marks a directory as one of a protocol, whatever its mark says. */
export async function replaceMark(directory: string, protocol: ProtocolName): Promise<void> {
  if ((await markedProtocol(directory)) === protocol) return;
  const file = join(directory, markName);
  await writeFile(`${file}.new`, markOf(protocol), { mode: 0o600 });
  await rename(`${file}.new`, file);
}

/** Whose database a state directory holds: each opencode converts that of an earlier one, and reads none of a later one. Undefined where it holds none. */
export async function protocolOfDatabase(directory: string): Promise<ProtocolName | undefined> {
  const names = (await readdir(join(directory, 'data', 'opencode')).catch(refuseUnless('ENOENT', 'ENOTDIR'))) ?? [];
  return names.some((name) => name.startsWith(databaseName)) ? markedProtocol(directory) : undefined;
}

async function markedProtocol(directory: string): Promise<ProtocolName> {
  const text = await readFile(join(directory, markName), 'utf8').catch(refuseUnless('ENOENT'));
  const { protocol = earliestProtocol } = parsed(text ?? '');
  return protocol as ProtocolName;
}

const markOf = (protocol: ProtocolName): string => JSON.stringify({ product: markProduct, layout: layoutVersion, protocol });

/**
 * Deletes a state directory, and nothing that is not one; gives whether it did. The lock and the mark go last: nobody takes the
 * directory meanwhile, and a deletion that breaks off can be gone on with.
 */
export async function deleteState(directory: string): Promise<boolean> {
  if (!(await mayBeDeleted(directory))) return false;
  const last = ['manager.lock', markName];
  const names = (await readdir(directory)).filter((name) => !last.includes(name) && name !== 'lost+found');
  for (const name of [...names, ...last]) {
    await rm(join(directory, name), { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
  // A mount point stays, empty.
  await rmdir(directory).catch(refuseUnless('EBUSY', 'ENOTEMPTY'));
  return true;
}

/** What the names of the server's database, and of what belongs to it, begin with, in `data/opencode`. */
export const databaseName = 'opencode.db';

/** Deletes all of a state directory but the server's database, and nothing of a directory that is not one. The mark stays. */
export async function reduceToDatabase(directory: string): Promise<void> {
  if (!(await mayBeDeleted(directory))) return;
  const data = join(directory, 'data');
  const home = join(data, 'opencode');
  await removeAllBut(directory, (name) => name === 'data' || name === markName || name === 'manager.lock' || name === 'lost+found');
  await removeAllBut(data, (name) => name === 'opencode');
  await removeAllBut(home, (name) => name.startsWith(databaseName));
}

async function removeAllBut(directory: string, stays: (name: string) => boolean): Promise<void> {
  const names = (await readdir(directory).catch(refuseUnless('ENOENT', 'ENOTDIR'))) ?? [];
  for (const name of names.filter((one) => !stays(one)))
    await rm(join(directory, name), { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}

async function mayBeDeleted(directory: string): Promise<boolean> {
  const owner = await ownerOf(directory).catch(refuseUnless('ENOENT', 'ENOTDIR'));
  return owner === 'ours' || owner === 'empty';
}

function refuseUnless(...codes: readonly string[]): (error: NodeJS.ErrnoException) => undefined {
  return (error) => {
    if (!codes.includes(error.code ?? '')) throw error;
    return undefined;
  };
}
