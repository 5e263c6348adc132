import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toManagerError } from '@opencode-manager/core/errors';
import type { Before } from '../capture/before.ts';
import { isThere } from '../capture/stage.ts';
import { Lease } from '../lease.ts';
import { scratchOf, type Run } from '../run.ts';
import type { LedgerLease } from './ledger.ts';
import { processesIn } from './processes.ts';
import { removeWorkspace } from './remove.ts';

/** What became of a lease whose holder is gone. */
export interface RecoveredLease {
  readonly key: string;
  readonly attempt: number;
  readonly path: string;
  /** The ref that holds its result, if somebody may have worked there. */
  readonly ref: string | undefined;
  /** `removed`: its result is under `ref`. `kept`: its directory stays, for the reason. */
  readonly outcome: 'removed' | 'kept';
  readonly reason?: string;
}

/** Decides by the ledger alone; what a ref does not hold stays, and what was kept on purpose, unless it is to be discarded. */
export async function recoverLease(
  run: Run,
  { record, state, parts, reason }: LedgerLease,
  discardLeftBehind = false,
): Promise<RecoveredLease> {
  const { key, attempt, path, ref } = record;
  const told = { key, attempt, path, ref: state === 'creating' || ref === '' ? undefined : ref };
  // One that somebody has removed is not kept any more.
  if (state === 'kept' && !discardLeftBehind && (await isThere(path))) return { ...told, outcome: 'kept', reason: reason ?? 'kept' };
  try {
    const processes = await processesIn(path);
    if (processes.length > 0) return { ...told, outcome: 'kept', reason: `processes ${processes.join(', ')} have their directory there` };
    // What was found has no parts: it was none of ours, so there is no result to take.
    if (state === 'creating' || (state === 'removing' && !(await isThere(path))) || (state === 'kept' && parts.length === 0)) {
      await removeWorkspace(run, record);
      await run.ledger.append({ event: 'removed', id: record.id });
      return { ...told, outcome: 'removed' };
    }
    const before = await readBefore(run, record.id);
    const release = await new Lease(run, { record, parts, before }).release({ discardLeftBehind });
    return { ...told, outcome: release.removed ? 'removed' : 'kept', ...(release.reason && { reason: release.reason }) };
  } catch (error) {
    return { ...told, outcome: 'kept', reason: toManagerError(error).message };
  }
}

/** Written before the ledger said `leased`. */
export async function readBefore(run: Run, id: string): Promise<Before> {
  const text = await readFile(join(scratchOf(run, { id }), 'before.json'), 'utf8').catch(() => '{}');
  return { stamps: {}, source: {}, history: '', ...(JSON.parse(text) as Partial<Before>) };
}
