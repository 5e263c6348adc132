import type { PageFlags } from '../flags.ts';
import { OpencodeManagerError } from '@opencode-manager/core';
import type { Manager, PageRequest } from '../manager/index.ts';
import { aborted, type StopSignals } from '../signals.ts';
import type { Terminal } from '../terminal/index.ts';
import { attachPlayground } from './attach.ts';
import { openInBrowser } from './browser.ts';
import type { PageServer } from './server.ts';
import { StepTap } from './step-tap.ts';

/** @throws OpencodeManagerError `USAGE` when a flag of the page is given without the page */
export function checkPageFlags({ playground, ...others }: PageFlags): void {
  if (playground) return;
  const { allowControl, content, open } = others;
  const useless = allowControl ? '--allow-control' : content ? '--content' : open ? '--open' : undefined;
  if (useless === undefined) return;
  throw new OpencodeManagerError('USAGE', `${useless} belongs to --playground; give that too.`);
}

/** What a manager is opened with so that pages can be. */
export interface PageSupport {
  readonly tap: StepTap;
  readonly pool: { readonly inspect: StepTap['inspect'] };
  /** Opens a page for a client of the manager's socket. */
  readonly pages: (manager: Manager, request: PageRequest) => Promise<PageServer>;
}

/**
 * The tap has to be there before the pool is: later nobody could ask its actors for their steps. `runPath` gives the directory of the run that
 * the manager carries out, where there is one, for pages that are opened by its socket.
 */
export function supportPages(title: string, runPath: () => string | undefined = () => undefined): PageSupport {
  const tap = new StepTap();
  return {
    tap,
    pool: { inspect: tap.inspect },
    pages: (manager, request) => attachPlayground(manager, tap, { title, ...request, runPath: runPath() }),
  };
}

export interface PageContext {
  readonly terminal: Terminal;
  readonly title: string;
  readonly json: boolean;
  /** Writes a line beside the progress display. */
  readonly note: (line: string) => void;
  /** Directory of the run: the page shows it as a batch, beside its sessions. */
  readonly runPath?: string | undefined;
}

/** Opens the page of a run when it was asked for, and says where. Ends the run when that fails. */
export async function openPage(
  manager: Manager,
  support: PageSupport | undefined,
  flags: PageFlags,
  { terminal, title, json, note, runPath }: PageContext,
): Promise<PageServer | undefined> {
  if (!flags.playground || !support) return undefined;
  try {
    const { allowControl = false, content = false } = flags;
    const page = await attachPlayground(manager, support.tap, { title, allowControl, content, runPath });
    if (json) terminal.record({ type: 'playground', url: page.url, control: allowControl, content });
    note(`Playground: ${page.url}`);
    if (flags.open) await openInBrowser(page.url, note);
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
  { terminal, json, note }: Omit<PageContext, 'title' | 'runPath'>,
): Promise<void> {
  if (!page || json || !terminal.interactive || signals.drain.aborted) return;
  note('The run is over. Its page stays until Ctrl-C.');
  await aborted(signals.drain);
}
