import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { SessionListing } from '../manager-socket/index.ts';
import type { ClientFlags } from '../flags.ts';
import { oneLine, renderTable } from '../render/index.ts';
import { snakeCased, type Terminal } from '../terminal/index.ts';
import { withManager } from './client.ts';

/** `ocm sessions`: the sessions of a running manager, newest last. */
export function sessions(terminal: Terminal, flags: ClientFlags): Promise<ExitCode> {
  return withManager(flags, async (manager, signal) => {
    const list = await manager.call('sessions', {}, { signal });
    if (flags.json) for (const session of list) terminal.record({ type: 'session', ...(snakeCased(session) as object) });
    else if (list.length === 0) terminal.notice('No session yet. Make one with: ocm prompt new TEXT');
    else for (const line of table(list, terminal)) terminal.result(line);
    return exitCodes.ok;
  });
}

function table(list: readonly SessionListing[], { colors }: Terminal): string[] {
  const columns = [
    { title: 'SESSION' },
    { title: 'STATE' },
    { title: 'TURNS', align: 'right' },
    { title: 'TASK' },
    { title: 'TITLE' },
    { title: 'DIRECTORY' },
  ] as const;
  const rows = list.map((session) => [
    session.id,
    session.path ?? session.state,
    String(session.turns),
    oneLine(session.task_id ?? '', 24),
    oneLine(session.parent_id === null ? session.title : `↳ ${session.title}`, 40),
    session.directory,
  ]);
  return renderTable(columns, rows, colors.bold);
}
