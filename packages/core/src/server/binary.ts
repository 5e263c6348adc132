import { mkdtemp, open, readFile, realpath, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { absolute } from '../config/index.ts';
import { OpencodeManagerError } from '../errors/index.ts';
import { readWorkspaceFile, withParents } from '../isolation/index.ts';
import { findOnPath, isExecutableFile } from '../process/find-on-path.ts';
import { isMuslSystem } from '../process/musl.ts';
import { knownProtocols, protocolNamed, type Protocol, type ProtocolName } from '../protocol/index.ts';

/** A usable opencode binary. */
export interface BinaryInfo {
  /** The native binary itself: a shim of npm would leave the server behind when it is killed. */
  readonly path: string;
  readonly version: string;
  /** Where it was found. */
  readonly source: 'option' | 'OPENCODE_BIN' | 'PATH' | 'package';
  /** The protocol that its server speaks. */
  readonly protocol: ProtocolName;
}

/** Versions of opencode that this manager speaks with, by protocol. */
export const supportedVersions: Readonly<Record<ProtocolName, Protocol['versions']>> = {
  v1: protocolNamed('v1').versions,
  v2: protocolNamed('v2').versions,
};

/**
 * Finds the opencode binary: the option, `OPENCODE_BIN`, PATH, then an installed package (`opencode-ai` of 1.x, `@opencode/cli-*` of 2.x). One that
 * is named but missing is an error and is never passed over.
 * @throws OpencodeManagerError `BINARY_NOT_FOUND`, `BINARY_UNUSABLE`, `VERSION_UNSUPPORTED`
 */
export async function findBinary(
  options: { readonly binary?: string; readonly environment?: NodeJS.ProcessEnv } = {},
): Promise<BinaryInfo> {
  const { path, source } = await locate(options.binary, options.environment ?? process.env);
  const native = await nativeBinaryOf(path);
  const version = await versionOf(native);
  return { path: native, version, source, protocol: protocolOf(version, native) };
}

async function locate(option: string | undefined, environment: NodeJS.ProcessEnv): Promise<Pick<BinaryInfo, 'path' | 'source'>> {
  if (option !== undefined) return { path: await mustExist(absolute(option, 'binary'), 'binary'), source: 'option' };
  const named = environment['OPENCODE_BIN'];
  if (named !== undefined && named !== '')
    return { path: await mustExist(absolute(named, 'OPENCODE_BIN'), 'OPENCODE_BIN'), source: 'OPENCODE_BIN' };
  const onPath = await findOnPath('opencode', environment['PATH'] ?? '');
  if (onPath !== undefined) return { path: onPath, source: 'PATH' };
  const packaged = await packagedBinary();
  if (packaged !== undefined) return { path: packaged, source: 'package' };
  throw new OpencodeManagerError(
    'BINARY_NOT_FOUND',
    'No opencode binary was found on PATH, and neither the package opencode-ai nor one of opencode 2 (@opencode/cli-*) is installed. Install it with `npm install opencode-ai`, or name the binary with the option `binary` or the variable OPENCODE_BIN.',
  );
}

async function mustExist(path: string, option: string): Promise<string> {
  if (await isExecutableFile(path)) return path;
  throw new OpencodeManagerError(
    'BINARY_NOT_FOUND',
    `${option}: ${path} does not exist or is not executable. Name the opencode binary, or leave ${option} unset.`,
    {
      details: { option, path },
    },
  );
}

/** The platform package's binary below `opencode-ai`, as this package finds it, then as the current directory would. */
async function packagedBinary(): Promise<string | undefined> {
  const own = await packageOfOurs();
  const found = own === undefined ? undefined : await platformBinaryBeside(own);
  if (found !== undefined) return found;
  const here = currentDirectory();
  if (here === undefined) return undefined;
  // The current directory may be anybody's workspace: Node's own resolution would read the manifests there, and wait for a FIFO.
  for (const place of withParents(here)) {
    const there =
      (await platformBinaryBeside(join(place, 'node_modules', 'opencode-ai'))) ?? (await binaryOf2In(join(place, 'node_modules')));
    if (there !== undefined) return there;
  }
  return undefined;
}

/** Undefined when somebody has removed it under this process. */
function currentDirectory(): string | undefined {
  try {
    return process.cwd();
  } catch {
    return undefined;
  }
}

async function packageOfOurs(): Promise<string | undefined> {
  try {
    return dirname(await realpath(createRequire(import.meta.url).resolve('opencode-ai/package.json')));
  } catch {
    return undefined;
  }
}

/**
 * The native binary behind what was found. What npm and pnpm put on PATH is a script or a link into `opencode-ai`; the
 * platform's own package stands beside that.
 */
async function nativeBinaryOf(path: string): Promise<string> {
  const real = await realpath(path);
  if (!(await isScript(real))) return real;
  for (const directory of [dirname(dirname(real)), join(dirname(real), '..', 'opencode-ai')]) {
    const found = await platformBinaryBeside(directory);
    if (found !== undefined) return found;
  }
  return real;
}

async function platformBinaryBeside(directory: string): Promise<string | undefined> {
  // pnpm links `opencode-ai` into its store, and the platform's package stands beside it there.
  const packageDirectory = await realpath(directory).catch(() => directory);
  for (const name of await platformPackages()) {
    for (const modules of [dirname(packageDirectory), join(packageDirectory, 'node_modules')]) {
      const candidate = join(modules, name, 'bin', 'opencode');
      if (await isExecutableFile(candidate)) return realpath(candidate);
    }
  }
  return undefined;
}

/** The binary of opencode 2 below a directory of packages. */
async function binaryOf2In(modules: string): Promise<string | undefined> {
  for (const name of await platformPackages()) {
    const candidate = join(modules, '@opencode', name.replace(/^opencode-/, 'cli-'), 'bin', 'opencode');
    if (await isExecutableFile(candidate)) return realpath(candidate);
  }
  return undefined;
}

let packagesOfPlatform: Promise<string[]> | undefined;

/** Names of the packages that carry a binary for this machine, best first. */
function platformPackages(): Promise<string[]> {
  packagesOfPlatform ??= findPlatformPackages();
  return packagesOfPlatform;
}

async function findPlatformPackages(): Promise<string[]> {
  const base = `opencode-${process.platform}-${process.arch}`;
  const flags = process.platform === 'linux' && process.arch === 'x64' ? await readFile('/proc/cpuinfo', 'utf8').catch(() => '') : 'avx2';
  const libc = (await isMuslSystem()) ? '-musl' : '';
  return /\bavx2\b/.test(flags) ? [base + libc, `${base}-baseline${libc}`] : [`${base}-baseline${libc}`];
}

/** By path, size and time of change: asking a binary costs 1.4 s, so it is asked once a process. */
const knownVersions = new Map<string, string>();

async function versionOf(path: string): Promise<string> {
  const { size, mtimeMs } = await stat(path);
  const key = `${path}:${size}:${mtimeMs}`;
  const version = knownVersions.get(key) ?? (await versionOfPackage(path)) ?? (await askVersion(path));
  knownVersions.set(key, version);
  return version;
}

/** A platform package states its binary's version; the running server confirms it before anything is sent. */
async function versionOfPackage(path: string): Promise<string | undefined> {
  try {
    const file = await readWorkspaceFile(join(dirname(path), '..', 'package.json'), { maxBytes: 1024 * 1024 });
    if (file.kind !== 'file') return undefined;
    const manifest = JSON.parse(file.content.toString('utf8')) as { name?: string; version?: string };
    return /^(?:opencode-|@opencode\/cli-)/.test(manifest.name ?? '') ? manifest.version : undefined;
  } catch {
    return undefined;
  }
}

async function askVersion(path: string): Promise<string> {
  // opencode makes its directories even for this; they must not be the user's.
  const home = await mkdtemp(join(tmpdir(), 'opencode-manager-version-'));
  try {
    return await askVersionIn(path, home);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

async function askVersionIn(path: string, home: string): Promise<string> {
  const { stdout, failed, shortMessage } = await execa(path, ['--version'], {
    timeout: 20_000,
    reject: false,
    stdin: 'ignore',
    env: { HOME: home, TMPDIR: home, PATH: process.env['PATH'] ?? '' },
    extendEnv: false,
  });
  const version = /^(?:opencode )?v?(\d+\.\d+\.\d+\S*)\s*$/m.exec(stdout)?.[1];
  if (version !== undefined) return version;
  throw new OpencodeManagerError(
    'BINARY_UNUSABLE',
    `binary: ${path} does not say its version with --version (${failed ? shortMessage : 'unexpected output'}). Run it by hand, and install opencode again if that fails.`,
    {
      details: { path },
      output: stdout.slice(-2000),
    },
  );
}

/** The protocol that a version of opencode speaks; undefined for one that this manager does not. */
export function protocolOfVersion(version: string): ProtocolName | undefined {
  const speaks = ({ versions: { min, below } }: Protocol) => compareVersions(version, min) >= 0 && compareVersions(version, below) < 0;
  return knownProtocols.find(speaks)?.name;
}

/** @throws `VERSION_UNSUPPORTED` */
function protocolOf(version: string, path: string): ProtocolName {
  const protocol = protocolOfVersion(version);
  if (protocol) return protocol;
  const ranges = knownProtocols.map(
    ({ versions: { min, below, tested } }) => `${min} up to, not including, ${below} (tested: ${tested.join(', ')})`,
  );
  throw new OpencodeManagerError(
    'VERSION_UNSUPPORTED',
    `opencode ${version} (${path}) is not supported; this manager speaks ${ranges.join(' and ')}. Install one with \`npm install opencode-ai@1\`.`,
    {
      details: { version, supported: supportedVersions },
    },
  );
}

function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split(/[.-]/, 3).map(Number)) as [number[], number[]];
  for (let place = 0; place < 3; place += 1) {
    const difference = (left[place] ?? 0) - (right[place] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

async function isScript(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return buffer.toString('latin1') === '#!';
  } finally {
    await file.close();
  }
}
