import { queueOf, submitToQueue } from '../queue/submit.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { RunFlags } from '../flags.ts';
import { plural, printable } from '../render/index.ts';
import type { Terminal } from '../terminal/index.ts';

/** `ocm enqueue`: puts a file of tasks into a queue. */
export async function enqueue(terminal: Terminal, file: string | undefined, flags: RunFlags): Promise<ExitCode> {
  await using client = await queueOf(flags);
  const { name, total, isNew, added } = await submitToQueue(terminal, client, { file, flags });
  if (flags.json) terminal.record({ type: 'enqueued', run: name, queue: client.address.shown, total, is_new: isNew, waiting: added });
  else if (isNew) terminal.result(printable(`${name}  ${plural(total, 'task')} in the queue`));
  else terminal.result(printable(`${name}  was in the queue already; ${added} of ${plural(total, 'task')} are not over`));
  return exitCodes.ok;
}
