import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OpencodeManagerError } from '../../errors/index.ts';
import type { PackagePlaces } from '../../protocol/index.ts';
import type { StateLayout } from '../state-directory.ts';
import { isInstalled, type NeededPackage } from './needed.ts';

/** A registry that does not answer is given up after seconds: npm's own settings wait for minutes. */
const online =
  'offline=false\naudit=false\nfund=false\nfetch-retries=1\nfetch-retry-mintimeout=500\nfetch-retry-maxtimeout=2000\nfetch-timeout=60000\n';

/**
 * Lets opencode's npm fetch what the configuration needs, and nothing else: it is offline by the `.npmrc` of the server's home, which the
 * one beside each of these packages overrules. A manifest beside it keeps npm from looking for settings further up.
 */
export async function letInstall(layout: StateLayout, places: PackagePlaces, needed: readonly NeededPackage[]): Promise<void> {
  for (const each of needed) {
    const directory = installDirectory(layout, places, each);
    if (directory === undefined) continue;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await goOnline(join(directory, '.npmrc'));
    if (each.kind !== 'config_directory') await writeFile(join(directory, 'package.json'), '{}', { flag: 'wx' }).catch(unlessThere);
    // It says what is installed: opencode installs what it does not name.
    else await rm(join(directory, 'package-lock.json'), { force: true });
  }
}

/** A configuration directory may have settings of its own, such as its registry. */
async function goOnline(file: string): Promise<void> {
  const own = await readFile(file, 'utf8').catch(() => '');
  if (!own.includes(online)) await writeFile(file, `${own}\n${online}`, { mode: 0o600 });
}

function unlessThere(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}

/** Where opencode installs a package; undefined when it does not do it. */
function installDirectory(layout: StateLayout, places: PackagePlaces, { kind, package: spec }: NeededPackage): string | undefined {
  if (kind === 'mcp') return undefined;
  if (kind === 'config_directory') return places.configDirectory ? layout.opencodeConfig : undefined;
  return join(layout.cache, places.directoryOf(kind, spec, nameOf(spec) === spec ? `${spec}@latest` : spec));
}

/** Whether opencode installs a package itself; what an MCP server runs, its command fetches. */
export function isInstalledByOpencode({ configDirectory }: PackagePlaces, { kind }: NeededPackage): boolean {
  return kind !== 'mcp' && (kind !== 'config_directory' || configDirectory);
}

/** `@scope/name` of `@scope/name@1.2.3`. */
function nameOf(spec: string): string {
  const at = spec.indexOf('@', 1);
  return at > 0 ? spec.slice(0, at) : spec;
}

/** A name with or without a version; an address of a repository or a tarball does not say what the package is called. */
const namesPackage = /^(@[\w.~-]+\/)?[\w.~-]+(@.*)?$/;

/** Whether opencode has installed a package; false for one that it does not install itself. */
export async function wasInstalled(layout: StateLayout, places: PackagePlaces, needed: NeededPackage): Promise<boolean> {
  const directory = installDirectory(layout, places, needed);
  if (directory === undefined) return false;
  const within = places.byInstallation && needed.kind !== 'config_directory' ? await readdir(directory).catch(() => []) : ['.'];
  const installed = await Promise.all(within.map((name) => isInstalledIn(join(directory, name), needed.package)));
  return installed.includes(true);
}

async function isInstalledIn(directory: string, spec: string): Promise<boolean> {
  if (namesPackage.test(spec)) return isInstalled(directory, nameOf(spec));
  const installed = await readdir(join(directory, 'node_modules')).catch(() => []);
  return installed.some((name) => !name.startsWith('.'));
}

/** Refuses what an earlier server on the same state has not installed. @throws `PACKAGE_UNAVAILABLE` naming all of it */
export async function refuseOffline(layout: StateLayout, places: PackagePlaces, all: readonly NeededPackage[]): Promise<void> {
  const present = await Promise.all(all.map((each) => wasInstalled(layout, places, each)));
  const needed = all.filter((_, index) => !present[index]);
  if (needed.length === 0) return;
  throw new OpencodeManagerError(
    'PACKAGE_UNAVAILABLE',
    `Option offline: the configuration needs what would have to be fetched: ${needed.map(describeNeed).join(', ')}. Nothing was sent. Install it beforehand and name its path, or go without offline.`,
    { details: { packages: needed } },
  );
}

const kinds = { plugin: 'plugin', provider: 'provider', config_directory: 'configuration directory', mcp: 'MCP server' } as const;

/** `demo (plugin)`, `demo-sdk (provider demo)`. */
export function describeNeed({ kind, package: spec, name }: NeededPackage): string {
  return `${spec} (${kinds[kind]}${name === undefined ? '' : ` ${name}`})`;
}
