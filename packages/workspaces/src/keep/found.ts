import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { unless } from '../errors.ts';
import type { Run } from '../run.ts';
import { readLedger, type LeaseRecord } from './ledger.ts';

/**
 * What lies beside the workspaces of a run that none of its leases made: an agent's `git worktree add ../x`, or a workspace that was moved.
 * No result holds it, so it stays as what is kept does, and the ledger knows it.
 * Gives whether there was something that the ledger did not know yet.
 */
export async function keepFound(run: Run): Promise<boolean> {
  const directory = join(run.root, 'workspaces');
  const names = (await readdir(directory).catch(unless('ENOENT'))) ?? [];
  if (names.length === 0) return false;
  const { leases } = await readLedger(join(run.root, 'ledger.jsonl'));
  const known = new Set(leases.filter(({ state }) => state !== 'removed').map(({ record }) => record.id));
  const found = names.filter((name) => !known.has(name)).map((name) => recordOf(run, directory, name));
  for (const lease of found) {
    await run.ledger.append({ event: 'found', lease });
    const message = `${lease.path} was made beside the workspaces, and no result holds it: it stays. Look at it, and remove it with cleanRuns (ocm clean --keep-results ${run.id} --directory ${quoted(run.top)}).`;
    run.note({ code: 'found', message });
  }
  return found.length > 0;
}

function recordOf(run: Run, directory: string, name: string): LeaseRecord {
  return { id: name, key: name, attempt: 1, mode: run.mode, path: join(directory, name), artifacts: run.artifacts, ref: '' };
}

/** A word of a shell line. */
function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
