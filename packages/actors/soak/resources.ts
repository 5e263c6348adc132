import { once } from 'node:events';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** What a process holds, by name, with its number. */
export type Resources = Readonly<Record<string, number>>;

/** Node closes handles a little after they were given up. */
const settleMs = 8000;
const lookEveryMs = 100;

/** Counts what this process holds now: listeners, timers, handles, threads, descriptors, child processes. */
export async function countResources(): Promise<Resources> {
  const counts: Record<string, number> = {};
  for (const name of process.eventNames()) counts[`listeners of process '${String(name)}'`] = process.listenerCount(name);
  for (const name of process.getActiveResourcesInfo()) counts[`active ${name}`] = (counts[`active ${name}`] ?? 0) + 1;
  const threads = await readdir('/proc/self/task').catch(() => []);
  counts['threads'] = threads.length;
  for (const kind of await descriptorKinds()) counts[`descriptors of ${kind}`] = (counts[`descriptors of ${kind}`] ?? 0) + 1;
  counts['child processes'] = (await Promise.all(threads.map(childrenOf))).flat().length;
  return counts;
}

/** What each open descriptor is: `socket`, `pipe`, `anon_inode:[eventpoll]`, or the path of a file. */
async function descriptorKinds(): Promise<string[]> {
  const numbers = await readdir('/proc/self/fd').catch(() => []);
  const targets = await Promise.all(numbers.map((number) => readlink(`/proc/self/fd/${number}`).catch(() => undefined)));
  return targets.filter((target) => target !== undefined).map((target) => target.replace(/^(socket|pipe):.*$/, '$1'));
}

async function childrenOf(thread: string): Promise<string[]> {
  const text = await readFile(`/proc/self/task/${thread}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter((pid) => pid !== '');
}

/**
 * Lets Node make what it makes on first use and keeps, so that it does not count as growth: the threads of its pool, and
 * the descriptor that its event loop holds in reserve from the first socket on.
 */
export async function warmUp(): Promise<void> {
  await Promise.all(Array.from({ length: 16 }, () => readdir('/')));
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.close();
  await once(server, 'close');
}

/** What has grown against an earlier count and does not go away. */
export async function growthSince(before: Resources): Promise<string[]> {
  const deadlineAtMs = Date.now() + settleMs;
  for (;;) {
    const grown = differences(before, await countResources());
    if (grown.length === 0 || Date.now() > deadlineAtMs) return grown;
    await pause(lookEveryMs);
  }
}

function differences(before: Resources, after: Resources): string[] {
  return Object.entries(after)
    .filter(([name, count]) => count > (before[name] ?? 0))
    .map(([name, count]) => `${name}: ${before[name] ?? 0} before, ${count} after`);
}
