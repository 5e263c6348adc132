import { readFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join, relative } from 'node:path';

/** How much memory this process and its children may use together. */
export interface MemoryLimit {
  /** Bytes. */
  readonly bytes: number;
  /** A container or a service has a control group with a limit; otherwise it is all that the machine has. */
  readonly source: 'cgroup' | 'machine';
}

/** A server is replaced at this size, where there is room for it. In bytes. */
const largestServer = 6e9;

/** What a server takes for each directory in which its sessions work, in bytes. */
const perDirectory = 40e6;

/** Share of the limit that a server may take, and the share that it never may, whatever the number of directories. */
const shares = { server: 0.7, most: 0.85 } as const;

/** At how much resident memory a server is best replaced. In bytes. */
export interface MemoryBudget {
  /** Of a server that holds no directory. */
  readonly maxBytes: number;
  /** More for each directory that it holds. */
  readonly perDirectoryBytes: number;
  /** Never more than this, however many directories: the kernel ends the whole container at its limit. */
  readonly mostBytes: number;
}

/**
 * The resident memory at which a server is best replaced: 6 GB or 70 % of the limit, whichever is less, and 40 MB for each directory that
 * it holds; never more than 85 % of the limit. Pure.
 *
 * @example
 * const { maxBytes } = memoryBudget(await readMemoryLimit())
 * @public
 */
export function memoryBudget({ bytes }: Pick<MemoryLimit, 'bytes'>): MemoryBudget {
  return {
    maxBytes: Math.floor(Math.min(largestServer, shares.server * bytes)),
    perDirectoryBytes: perDirectory,
    mostBytes: Math.floor(shares.most * bytes),
  };
}

/**
 * The limit that the control groups of this process set (v2, then v1), the smallest of it and all groups above it; the memory of the machine
 * where none does. `root` is where the system's files are found; for tests.
 * @public
 */
export async function readMemoryLimit(root = '/', machineBytes = totalmem()): Promise<MemoryLimit> {
  const groups = linesOf(await textOf(join(root, 'proc/self/cgroup')));
  const mounts = linesOf(await textOf(join(root, 'proc/self/mountinfo'))).map(mountOf);
  const limits = await Promise.all([limitOf(root, groups, mounts, version2), limitOf(root, groups, mounts, version1)]);
  const bytes = Math.min(...limits);
  // Version 1 writes a number beyond all memory for "no limit".
  return bytes < machineBytes ? { bytes, source: 'cgroup' } : { bytes: machineBytes, source: 'machine' };
}

interface Version {
  /** `memory` stands among the controllers of its line; version 2 has one line, without any. */
  readonly isLine: (controllers: string) => boolean;
  readonly isMount: (mount: Mount) => boolean;
  readonly files: readonly string[];
}

const version2: Version = {
  isLine: (controllers) => controllers === '',
  isMount: ({ type }) => type === 'cgroup2',
  // Above `memory.high` the kernel slows a group down to a halt.
  files: ['memory.max', 'memory.high'],
};

const version1: Version = {
  isLine: (controllers) => controllers.split(',').includes('memory'),
  isMount: ({ type, options }) => type === 'cgroup' && options.split(',').includes('memory'),
  files: ['memory.limit_in_bytes'],
};

interface Mount {
  /** The group that is seen at the mount point. */
  readonly group: string;
  readonly point: string;
  readonly type: string;
  readonly options: string;
}

/** `36 35 98:0 /group /sys/fs/cgroup rw,noatime shared:1 - cgroup2 cgroup rw`; the fields before the dash vary in number. */
function mountOf(line: string): Mount {
  const [before = '', after = ''] = line.split(' - ');
  const [, , , group = '', point = ''] = before.split(' ');
  const [type = '', , options = ''] = after.split(' ');
  return { group, point, type, options };
}

async function limitOf(root: string, groups: readonly string[], mounts: readonly Mount[], version: Version): Promise<number> {
  // `4:memory:/group`, `0::/group`
  const group = groups.map((line) => /^\d+:([^:]*):(.*)$/.exec(line)).find((match) => match && version.isLine(match[1]!))?.[2];
  const mount = mounts.find(version.isMount);
  if (group === undefined || mount === undefined) return Infinity;
  const places = placesBetween(mount.point, groupAt(mount, group));
  const values = await Promise.all(places.flatMap((place) => version.files.map((file) => numberIn(join(root, place, file)))));
  return Math.min(...values);
}

/** Where the group is below the mount point. In a container the mount shows the container's own group, by whatever name the process has it. */
function groupAt({ group: shown }: Mount, group: string): string {
  const below = relative(shown, group);
  return below.startsWith('..') ? '' : below;
}

/** The mount point, and each directory on the way from it to the group. */
function placesBetween(point: string, below: string): string[] {
  const names = below.split('/').filter((name) => name !== '');
  return [point, ...names.map((_, index) => join(point, ...names.slice(0, index + 1)))];
}

async function numberIn(path: string): Promise<number> {
  const text = (await textOf(path)).trim();
  return /^\d+$/.test(text) ? Number(text) : Infinity;
}

function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}
