import { rmSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { execa } from 'execa';

/** A browser that takes longer has been started: on some systems the command that starts one waits for it. */
const patienceMs = 3000;

/** By then the browser has read the file that leads to the page. */
const keepMs = 60_000;

/**
 * Opens the page in the user's browser. That it cannot is no error: the address was printed. Others may read the arguments
 * of a process, so the browser is given a private file that leads to the address, not the address with its token.
 */
export async function openInBrowser(url: string, note: (line: string) => void): Promise<void> {
  const command = process.platform === 'darwin' ? 'open' : 'xdg-open';
  const file = await writeDoor(url);
  // Detached: a Ctrl-C that ends the page must not end the browser.
  const opening = execa(command, [pathToFileURL(file).href], { stdio: 'ignore', detached: true, reject: false });
  const ended = await Promise.race([opening, setTimeout(patienceMs, undefined, { ref: false })]);
  if (ended?.failed) note(`No browser could be opened with ${command}; open the address yourself.`);
}

async function removeLater(remove: () => void): Promise<void> {
  await setTimeout(keepMs, undefined, { ref: false });
  process.off('exit', remove);
  remove();
}

/** A page that leads to the address, in a directory that only this user can read; it goes after a while, or with the process. */
async function writeDoor(url: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'ocm-playground-'));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  process.once('exit', remove);
  void removeLater(remove);
  const file = join(directory, 'open.html');
  await writeFile(file, `<!doctype html><meta http-equiv="refresh" content="0;url=${url}"><title>Playground</title>\n`, { mode: 0o600 });
  return file;
}
