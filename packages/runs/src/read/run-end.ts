import { runLayout } from '../directory/layout.ts';
import { noteHolder } from './holder.ts';
import { JournalReader } from './journal-reader.ts';
import { statusByJournal, type RunStatus } from './look-at-run.ts';

/**
 * How a run stands by the note beside its lock and the newest row of its journal. A run whose end is written runs until its process has let
 * go of it.
 * @throws `RUN_UNREADABLE`
 */
export async function statusOfRun(path: string): Promise<RunStatus> {
  const { journal: file, lockNote } = runLayout(path);
  // Before the journal: who lets go of the run writes the row of its end first.
  const holder = await noteHolder(lockNote);
  using journal = new JournalReader(file);
  const event = journal.newest(1)[0]?.event;
  return statusByJournal(holder, event?.type === 'run.ended' ? event.reason : null);
}
