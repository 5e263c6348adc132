import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { CleanFlags } from '../flags.ts';
import { printable } from '../render/index.ts';
import type { Terminal } from '../terminal/index.ts';
import { isOver, nameIn } from './look.ts';
import { queueOf } from './submit.ts';

/** `ocm clean --queue URL`: removes runs from a queue that are done, with what was not collected of them. */
export async function cleanQueue(terminal: Terminal, names: readonly string[], flags: CleanFlags): Promise<ExitCode> {
  await using client = await queueOf(flags);
  const wanted = names.length === 0 ? await client.ledger.runs() : await Promise.all(names.map((name) => nameIn(client, name)));
  let isWhole = true;
  for (const run of wanted) {
    const mayGo = flags.unfinished === true || (await isOver(client, run));
    if (mayGo && !flags.dryRun) await client.ledger.remove(run);
    isWhole &&= mayGo || names.length === 0;
    if (flags.json) terminal.record({ type: 'run', id: run, removed: mayGo && !flags.dryRun });
    else
      terminal.result(
        printable(`${run}  ${mayGo ? (flags.dryRun ? 'is done' : 'removed') : 'is not done, and stays; --unfinished removes it'}`),
      );
  }
  if (wanted.length === 0) terminal.notice('The queue has no run.');
  return isWhole ? exitCodes.ok : exitCodes.failed;
}
