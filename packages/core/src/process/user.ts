import { homedir, userInfo } from 'node:os';

/** The id of this process's user. Asking the system for more fails where the user has no entry (`docker run --user 12345`). */
export function userId(): number {
  return process.getuid?.() ?? userInfo().uid;
}

/** The user's home directory; undefined for a user without an entry, where HOME is not set. */
export function userHome(): string | undefined {
  try {
    const home = homedir();
    return home === '' ? undefined : home;
  } catch {
    return undefined;
  }
}
