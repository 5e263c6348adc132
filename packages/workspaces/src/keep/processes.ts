import { readdir, readlink } from 'node:fs/promises';
import { sep } from 'node:path';
import { execa } from 'execa';

/** Ids of the processes whose current directory is this one or lies below it, ourselves left out. Those of other users cannot be seen. */
export async function processesIn(directory: string): Promise<number[]> {
  const places = process.platform === 'linux' ? await fromProc() : await fromLsof();
  return places.filter(([pid, path]) => pid !== process.pid && `${path}${sep}`.startsWith(`${directory}${sep}`)).map(([pid]) => pid);
}

type Place = readonly [pid: number, directory: string];

async function fromProc(): Promise<Place[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const places = await Promise.all(
    names.map(async (name): Promise<Place> => [Number(name), await readlink(`/proc/${name}/cwd`).catch(() => '')]),
  );
  return places.map(([pid, path]) => [pid, path.replace(/ \(deleted\)$/, '')]);
}

async function fromLsof(): Promise<Place[]> {
  const { stdout } = await execa('lsof', ['-a', '-d', 'cwd', '-F', 'pn'], { reject: false });
  const places: Place[] = [];
  let pid = 0;
  for (const line of (stdout ?? '').split('\n')) {
    if (line.startsWith('p')) pid = Number(line.slice(1));
    if (line.startsWith('n')) places.push([pid, line.slice(1)]);
  }
  return places;
}
