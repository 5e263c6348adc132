import { sep } from 'node:path';

/**
 * Names of files are bytes, not text. git's output is read as latin1, in which every byte is one character: such a *byte string* compares,
 * sorts and goes back to git unchanged.
 */
export type ByteString = string;

/** What a person reads. */
export function readable(bytes: ByteString): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

export function byteString(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** For the file system. */
export function pathOf(directory: string, bytes: ByteString): Buffer {
  return Buffer.concat([Buffer.from(`${directory}${sep}`), Buffer.from(bytes, 'latin1')]);
}

/** The entries of an output with `-z`. */
export function entriesOf(output: ByteString): ByteString[] {
  return output.split('\0').filter((entry) => entry !== '');
}
