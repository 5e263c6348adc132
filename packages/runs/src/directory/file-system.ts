import { statfs } from 'node:fs/promises';
import { failure } from '../errors.ts';

/** Network file systems, by the numbers that Linux has for them (`linux/magic.h`): SQLite's log needs memory that all processes share. */
const networkTypes: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xfe53_4d42, 'SMB2'],
  [0xff53_4d42, 'CIFS'],
  [0x0102_1997, '9P'],
  [0x00c3_6400, 'Ceph'],
  [0x5346_414f, 'AFS'],
  [0x6b41_4653, 'AFS'],
  [0x7375_7245, 'Coda'],
  [0x564c, 'NCP'],
  [0x0bd0_0bd0, 'Lustre'],
  [0x4750_4653, 'GPFS'],
  [0x0116_1970, 'GFS2'],
  [0x7461_636f, 'OCFS2'],
  [0x786f_4256, 'a shared folder of VirtualBox'],
  [0xbacb_acbc, 'a shared folder of VMware'],
]);

/** The name of a network file system, by the type that `statfs` gives; undefined for a local one. */
export function networkFileSystem(type: number): string | undefined {
  // Some systems give it with a sign.
  return networkTypes.get(type >>> 0);
}

/** @throws `RUN_DIRECTORY_UNSAFE` */
export async function refuseNetwork(path: string): Promise<void> {
  // Elsewhere the number means another thing.
  if (process.platform !== 'linux') return;
  const name = networkFileSystem((await statfs(path)).type);
  if (name === undefined) return;
  const message = `${path} lies on a network file system (${name}), and the journal of a run cannot. Name a local directory with --run-dir DIR.`;
  throw failure('RUN_DIRECTORY_UNSAFE', message, { path, fileSystem: name });
}
