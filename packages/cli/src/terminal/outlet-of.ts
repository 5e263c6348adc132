import type { Writable } from 'node:stream';
import { FileOutlet } from './file-outlet.ts';
import { descriptorOf, isWrittenAtOnce, type Outlet } from './outlet.ts';
import { StreamOutlet } from './stream-outlet.ts';

/** The outlet over a stream of the process, or over one of a test. */
export function outletOf(stream: Writable): Outlet {
  const fd = descriptorOf(stream);
  // Node's own stream of a file takes a short write for a whole one, and ends with its first error.
  return fd !== undefined && isWrittenAtOnce(fd) ? new FileOutlet(fd) : new StreamOutlet(stream);
}
