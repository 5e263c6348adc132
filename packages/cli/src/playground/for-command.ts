import { OpencodeManagerError } from '@opencode-manager/core';
import type { Manager } from '../manager/index.ts';
import { aborted, type StopSignals } from '../signals.ts';
import type { Terminal } from '../terminal/index.ts';
import { attachPlayground } from './attach.ts';
import type { PageServer } from './server.ts';

/** Flags of a page beside a run. */
export interface PageFlags {
  readonly playground?: boolean;
  readonly allowControl?: boolean;
  readonly content?: boolean;
}

/** @throws OpencodeManagerError `USAGE` when a flag of the page is given without the page */
export function checkPageFlags({ playground, allowControl, content }: PageFlags): void {
  if (playground || (!allowControl && !content)) return;
  throw new OpencodeManagerError('USAGE', `${allowControl ? '--allow-control' : '--content'} belongs to --playground; give that too.`);
}

export interface PageContext {
  readonly terminal: Terminal;
  readonly title: string;
  readonly json: boolean;
  /** Writes a line beside the progress display. */
  readonly note: (line: string) => void;
}

/** Opens the page of a run when it was asked for, and says where. Ends the run when that fails. */
export async function openPage(
  manager: Manager,
  flags: PageFlags,
  { terminal, title, json, note }: PageContext,
): Promise<PageServer | undefined> {
  if (!flags.playground) return undefined;
  try {
    const { allowControl = false, content = false } = flags;
    const page = await attachPlayground(manager, { title, allowControl, content });
    if (json) terminal.record({ type: 'playground', url: page.url, control: allowControl, content });
    note(`Playground: ${page.url}`);
    return page;
  } catch (error) {
    await manager.stop();
    throw error;
  }
}

/** Keeps the page of a run that is over until Ctrl-C, when somebody sits in front of the terminal. */
export async function keepPage(
  page: PageServer | undefined,
  signals: StopSignals,
  { terminal, json, note }: Omit<PageContext, 'title'>,
): Promise<void> {
  if (!page || json || !terminal.interactive || signals.drain.aborted) return;
  note('The run is over. Its page stays until Ctrl-C.');
  await aborted(signals.drain);
}
