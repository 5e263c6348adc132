import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { ClientFlags } from '../flags.ts';
import type { Terminal } from '../terminal/index.ts';
import { withManager } from './client.ts';

/** `ocm abort SESSION`: resolves when the session is idle. */
export function abort(terminal: Terminal, sessionId: string, flags: ClientFlags): Promise<ExitCode> {
  return withManager(flags, async (manager, signal) => {
    await manager.call('abort', { session_id: sessionId }, { signal });
    if (flags.json) terminal.record({ type: 'session.aborted', session_id: sessionId });
    else terminal.result(`${sessionId} is idle.`);
    return exitCodes.ok;
  });
}
