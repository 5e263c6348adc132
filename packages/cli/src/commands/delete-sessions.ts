import { toManagerError, type SerializedError } from '@opencode-manager/core';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { ClientFlags } from '../flags.ts';
import { printable } from '../render/index.ts';
import type { Terminal } from '../terminal/index.ts';
import { withManager } from './client.ts';

interface Deletion {
  readonly id: string;
  /** `absent`: there was no such session any more. */
  readonly outcome: 'deleted' | 'absent' | 'failed';
  readonly error: SerializedError | null;
}

/** `ocm session delete ID...`: one outcome a session; one that cannot be deleted keeps no other. */
export function deleteSessions(terminal: Terminal, ids: readonly string[], flags: ClientFlags): Promise<ExitCode> {
  return withManager(flags, async (manager, signal) => {
    let exitCode: ExitCode = exitCodes.ok;
    for (const id of new Set(ids)) {
      const deletion = await manager.call('deleteSession', { session_id: id }, { signal }).then(
        ({ deleted }): Deletion => ({ id, outcome: deleted ? 'deleted' : 'absent', error: null }),
        (error: unknown): Deletion => ({ id, outcome: 'failed', error: toManagerError(error).toJSON() }),
      );
      if (signal.aborted) return exitCodes.failed;
      tell(terminal, deletion, flags.json === true);
      if (deletion.outcome === 'failed') exitCode = exitCodes.failed;
    }
    return exitCode;
  });
}

function tell(terminal: Terminal, { id, outcome, error }: Deletion, json: boolean): void {
  if (json) return terminal.record({ type: 'session.delete', session_id: id, outcome, error });
  const words = { deleted: 'deleted', absent: 'there is no such session', failed: `${error?.code}: ${error?.message}` };
  terminal.result(printable(`${id}  ${words[outcome]}`));
}
