import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { RevertFlags } from '../flags.ts';
import type { Terminal } from '../terminal/index.ts';
import { withManager } from './client.ts';

/** `ocm revert SESSION [MESSAGE]`, and with `--undo` the way back. */
export function revert(terminal: Terminal, sessionId: string, messageId: string | undefined, flags: RevertFlags): Promise<ExitCode> {
  return withManager(flags, async (manager, signal) => {
    if (flags.undo) {
      await manager.call('unrevert', { session_id: sessionId }, { signal });
      if (flags.json) terminal.record({ type: 'session.unreverted', session_id: sessionId });
      else terminal.result(`The last revert of ${sessionId} is taken back.`);
      return exitCodes.ok;
    }
    const done = await manager.call(
      'revert',
      { session_id: sessionId, ...(messageId !== undefined && { message_id: messageId }), ...(flags.force && { force: true }) },
      { signal },
    );
    if (flags.json) terminal.record({ type: 'session.reverted', session_id: sessionId, message_id: done.message_id });
    else terminal.result(`${sessionId} and its files are as before ${done.message_id}. Back again: ocm revert ${sessionId} --undo`);
    return exitCodes.ok;
  });
}
