import { constants } from 'node:fs';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';

/**
 * A Unix socket which can be connected to exactly while its manager lives. The kernel answers for the manager, in every container of the
 * machine: pids mean nothing across PID namespaces, and a file cannot tell that its writer has died. One stands beside the lock of a state
 * directory, one beside the record of a run: who sees the one may not see the other.
 */
export interface LifePlace {
  readonly directory: string;
  readonly name: string;
}

export interface LifeSign {
  close(): Promise<void>;
}

/** Shows that this process lives. Without one (macOS; a file system that has no sockets) others leave what is ours alone. */
export async function showLife({ directory: path, name }: LifePlace): Promise<LifeSign | undefined> {
  if (process.platform !== 'linux') return undefined;
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY).catch(() => undefined);
  if (directory === undefined) return undefined;
  try {
    await rm(join(path, name), { force: true });
    const server = createServer((socket) => socket.destroy());
    server.unref();
    await listening(server, socketIn(directory, name));
    return { close: () => closed(server, directory) };
  } catch {
    await directory.close();
    return undefined;
  }
}

/** Whether the manager lives, on this machine; undefined when that cannot be told. */
export async function answersLife({ directory: path, name }: LifePlace): Promise<boolean | undefined> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY).catch(() => undefined);
  if (directory === undefined) return undefined;
  try {
    return await connects(socketIn(directory, name));
  } finally {
    await directory.close();
  }
}

/** A socket's path has at most 107 bytes, a directory's may have more: the way through its descriptor is short. */
function socketIn(directory: FileHandle, name: string): string {
  return `/proc/self/fd/${directory.fd}/${name}`;
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
}

function connects(path: string): Promise<boolean | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const answer = (value: boolean | undefined) => {
      socket.destroy();
      resolve(value);
    };
    socket.once('connect', () => answer(true));
    // Refused: the socket is there and nobody listens any more.
    socket.once('error', ({ code }: NodeJS.ErrnoException) => answer(code === 'ECONNREFUSED' ? false : undefined));
  });
}

/** The descriptor goes last: closing the server removes the socket by its path. */
async function closed(server: Server, directory: FileHandle): Promise<void> {
  await new Promise((resolve) => server.close(resolve));
  await directory.close();
}
