import { chmod, lstat, mkdir, mkdtemp, realpath, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve, sep } from 'node:path';
import type { ResolvedConfig } from '../config/index.ts';
import { OpencodeManagerError } from '../errors/index.ts';
import { userHome, userId } from '../process/user.ts';
import { protocolNamed, type ProtocolName } from '../protocol/index.ts';
import { explainFullDisk } from './full-disk.ts';
import { markName, protocolOfDatabase, recognise, replaceMark, writeMark } from './mark.ts';

/** Every place in a state directory that something else knows of. */
export interface StateLayout {
  readonly root: string;
  readonly home: string;
  readonly config: string;
  readonly data: string;
  readonly cache: string;
  readonly state: string;
  readonly run: string;
  readonly tmp: string;
  readonly managed: string;
  /** opencode's own configuration directory below `config`. */
  readonly opencodeConfig: string;
  readonly configFile: string;
  /** What stands below the configuration directory's own files. */
  readonly directoryConfigFile: string;
  readonly authFile: string;
  readonly gitConfigFile: string;
  /** The home that tools see, unless they see the user's. */
  readonly toolHome: string;
  readonly toolGitConfigFile: string;
  /** Includes the user's own global configuration, for programs that cannot do without a name for it. */
  readonly includingGitConfigFile: string;
  /** What bash reads before a tool's line. */
  readonly toolShellFile: string;
  /** What bash reads before a shell part of a command template. */
  readonly templateShellFile: string;
  /** A catalogue of models without entries. */
  readonly noModelsFile: string;
  readonly lockFile: string;
}

export interface StateDirectory {
  readonly layout: StateLayout;
  /** True when it goes with the server. */
  readonly remains: 'everything' | 'database' | 'nothing';
  /** What stood there before this start. */
  readonly was: 'missing' | 'empty' | 'ours';
  readonly opencode: StartedOpencode;
}

/** The opencode that is to work on a state directory. */
interface StartedOpencode {
  readonly path: string;
  readonly version: string;
  readonly protocol: ProtocolName;
}

function layoutOf(root: string): StateLayout {
  const config = join(root, 'config');
  const data = join(root, 'data');
  const tools = join(root, 'tools');
  return {
    root,
    home: join(root, 'home'),
    config,
    data,
    cache: join(root, 'cache'),
    state: join(root, 'state'),
    run: join(root, 'run'),
    tmp: join(root, 'tmp'),
    managed: join(root, 'managed'),
    opencodeConfig: join(config, 'opencode'),
    configFile: join(root, 'opencode.json'),
    directoryConfigFile: join(root, 'config', 'opencode', 'opencode.json'),
    authFile: join(data, 'opencode', 'auth.json'),
    gitConfigFile: join(root, 'gitconfig'),
    toolHome: join(tools, 'home'),
    toolGitConfigFile: join(tools, 'gitconfig'),
    includingGitConfigFile: join(tools, 'gitconfig-of-user'),
    toolShellFile: join(tools, 'shell.sh'),
    templateShellFile: join(tools, 'template.sh'),
    noModelsFile: join(root, 'no-models.json'),
    lockFile: join(root, 'manager.lock'),
  };
}

/**
 * Makes (or takes) the private directory and marks it as ours. What holds something and is not ours stays untouched.
 * @throws `STATE_DIRECTORY_UNSAFE`, `STATE_DIRECTORY_FOREIGN`, `STATE_DIRECTORY_PROTOCOL`, `STATE_DIRECTORY_UNWRITABLE`, `STATE_DIRECTORY_FULL`
 */
export async function prepareStateDirectory(
  { stateDir, deleteStateOnExit, directory }: StateOptions,
  opencode: StartedOpencode,
): Promise<StateDirectory> {
  let found: FoundDirectory | undefined;
  try {
    found = stateDir === undefined ? await temporaryDirectory() : await namedDirectory(stateDir, directory, opencode);
    if (found.was !== 'ours') await writeMark(found.root, opencode.protocol);
    const remains = remainsOf(deleteStateOnExit ?? stateDir === undefined);
    return { layout: layoutOf(found.root), remains, was: found.was, opencode };
  } catch (error) {
    if (found) await abandon(found.root, found.was);
    throw await unusable(error, stateDir ?? tmpdir(), found?.root);
  }
}

function remainsOf(deletes: boolean | 'except-database'): StateDirectory['remains'] {
  if (deletes === 'except-database') return 'database';
  return deletes ? 'nothing' : 'everything';
}

type StateOptions = Pick<ResolvedConfig, 'stateDir' | 'deleteStateOnExit' | 'directory'>;

interface FoundDirectory {
  readonly root: string;
  readonly was: StateDirectory['was'];
}

/** Makes a directory that was locked one of this start's opencode: until then, another start may have come first. @throws `STATE_DIRECTORY_PROTOCOL` */
export async function claimState({ layout, opencode }: StateDirectory): Promise<void> {
  await refuseOtherProtocol(layout.root, opencode);
  await replaceMark(layout.root, opencode.protocol);
}

async function refuseOtherProtocol(path: string, { path: binary, version, protocol }: StartedOpencode): Promise<void> {
  const known = await protocolOfDatabase(path);
  if (known === undefined || known === protocol) return;
  const generation = `${protocolNamed(known).versions.min.split('.')[0]}.x`;
  const harm = protocol > known ? 'would convert it, with no way back' : 'cannot read it';
  throw new OpencodeManagerError(
    'STATE_DIRECTORY_PROTOCOL',
    `stateDir: ${path} holds a database of opencode ${generation}; opencode ${version} (${binary}) ${harm}. Nothing was started or changed. Name another state directory, or an opencode ${generation} (option binary, OPENCODE_BIN).`,
    { details: { stateDir: path, protocol: known, version } },
  );
}

async function temporaryDirectory(): Promise<FoundDirectory> {
  return { root: await realpath(await mkdtemp(join(tmpdir(), 'opencode-manager-state-'))), was: 'missing' };
}

/** Leaves a directory as it was found by a start that came no further than its mark. */
export function abandonState({ layout, was }: StateDirectory): Promise<void> {
  return abandon(layout.root, was);
}

async function abandon(root: string, was: StateDirectory['was']): Promise<void> {
  if (was === 'missing') await rm(root, { recursive: true, force: true }).catch(() => undefined);
  if (was === 'empty') await rm(join(root, markName), { force: true }).catch(() => undefined);
}

async function unusable(error: unknown, stateDir: string, root: string | undefined): Promise<unknown> {
  const explained = await explainFullDisk(error, root ?? stateDir);
  if (explained instanceof OpencodeManagerError) return explained;
  return new OpencodeManagerError(
    'STATE_DIRECTORY_UNWRITABLE',
    `stateDir: ${stateDir} cannot be written (${(error as NodeJS.ErrnoException).code}). Check its permissions and free space, or name another.`,
    { details: { stateDir }, cause: error },
  );
}

/** Makes what is missing: at the first start, and when somebody has removed it under a server that is started again. */
export async function makeDirectories({ layout, opencode: { protocol } }: StateDirectory): Promise<void> {
  const { root, home, config, data, cache, state, run, tmp, managed, opencodeConfig, authFile, toolHome } = layout;
  await mkdir(root, { recursive: true, mode: 0o700 });
  await writeMark(root, protocol);
  for (const path of [home, config, data, cache, state, run, tmp, managed, opencodeConfig, dirname(authFile), toolHome]) {
    await mkdir(path, { recursive: true, mode: 0o700 });
  }
}

async function namedDirectory(path: string, workspace: string, opencode: StartedOpencode): Promise<FoundDirectory> {
  const real = await realpathOfNearest(path);
  await refuseUsersOwn(real);
  refuseWorkspace(real, workspace);
  const was = await stateOf(path);
  if (was === 'ours') await refuseOtherProtocol(path, opencode);
  if (was === 'missing') await mkdir(path, { recursive: true, mode: 0o700 });
  else await chmod(path, 0o700);
  return { root: await realpath(path), was };
}

/** What stands at a path; nothing is changed. @throws `STATE_DIRECTORY_UNSAFE`, `STATE_DIRECTORY_FOREIGN` */
async function stateOf(path: string): Promise<StateDirectory['was']> {
  const entry = await lstat(path).catch(unlessMissing);
  if (entry === undefined) return 'missing';
  if (entry.isSymbolicLink() && entry.uid !== userId() && entry.uid !== 0) throw unsafe(path, "is another user's link");
  const found = await stat(path).catch(unlessMissing);
  if (found === undefined) throw unsafe(path, 'is a link to nothing');
  if (!found.isDirectory()) throw unsafe(path, 'is not a directory');
  if (found.uid !== userId()) throw unsafe(path, 'belongs to another user');
  const recognised = await recognise(path);
  // A directory that others may only read is closed; one that others may write was never safe.
  if ((found.mode & 0o022) !== 0 && recognised !== 'empty') throw unsafe(path, 'may be written by others');
  if (typeof recognised === 'string') return recognised;
  throw new OpencodeManagerError(
    'STATE_DIRECTORY_FOREIGN',
    `stateDir: ${path} is not a state directory of a manager (${recognised.foreign}). Nothing in it was changed. Name a new or an empty directory.`,
    { details: { stateDir: path, found: recognised.foreign } },
  );
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
}

/** The real path of what exists of a path, with the rest appended. */
async function realpathOfNearest(path: string): Promise<string> {
  const absolute = resolve(path);
  try {
    return await realpath(absolute);
  } catch {
    const parent = dirname(absolute);
    return parent === absolute ? absolute : join(await realpathOfNearest(parent), relative(parent, absolute));
  }
}

/** The user's own configuration, data, cache and state directories; a state directory inside one would mix with them. */
export function usersOwnDirectories(environment: NodeJS.ProcessEnv = process.env, home = userHome()): string[] {
  const below = (...names: string[]) => (home === undefined ? [] : [join(home, ...names)]);
  const xdg = (name: string, ...fallback: string[]) => (environment[name] ? [environment[name]] : below(...fallback));
  return [
    ...xdg('XDG_CONFIG_HOME', '.config'),
    ...xdg('XDG_DATA_HOME', '.local', 'share'),
    ...xdg('XDG_CACHE_HOME', '.cache'),
    ...xdg('XDG_STATE_HOME', '.local', 'state'),
    ...below('.opencode'),
    ...below('Library'),
  ];
}

async function refuseUsersOwn(path: string): Promise<void> {
  const home = userHome();
  if (home !== undefined && path === (await realpathOfNearest(home))) throw unsafe(path, 'is your home directory');
  for (const own of usersOwnDirectories()) {
    if (isInside(path, await realpathOfNearest(own))) throw unsafe(path, `lies inside ${own}, which belongs to you and your own programs`);
  }
}

/** Agents read and change the workspace, commit it and clean it up; what is deleted with the state would take it along. */
function refuseWorkspace(path: string, workspace: string): void {
  if (isInside(workspace, path)) throw unsafe(path, path === workspace ? 'is the workspace' : `holds the workspace ${workspace}`);
  if (workspace !== sep && isInside(path, workspace)) throw unsafe(path, `lies inside the workspace ${workspace}, where agents work`);
}

function isInside(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory.endsWith(sep) ? directory : directory + sep);
}

function unsafe(path: string, why: string): OpencodeManagerError {
  return new OpencodeManagerError(
    'STATE_DIRECTORY_UNSAFE',
    `stateDir: ${path} ${why}. Name a private directory elsewhere, or leave stateDir unset.`,
    {
      details: { stateDir: path },
    },
  );
}
