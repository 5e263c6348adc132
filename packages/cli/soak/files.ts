import { readdir, readFile, stat } from 'node:fs/promises';

export async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

/** Names in a directory; none when it is missing. */
export async function namesIn(path: string): Promise<readonly string[]> {
  return readdir(path).catch(() => []);
}

/** The objects of a file of JSON Lines, and the lines that are none. */
export async function readJsonLines(path: string): Promise<{ readonly lines: readonly unknown[]; readonly torn: readonly string[] }> {
  const [lines, torn]: [unknown[], string[]] = [[], []];
  const texts = (await readFile(path, 'utf8').catch(() => '')).split('\n');
  for (const [index, text] of texts.entries()) {
    if (text === '' && index === texts.length - 1) continue;
    try {
      lines.push(JSON.parse(text));
    } catch {
      torn.push(text);
    }
  }
  return { lines, torn };
}
