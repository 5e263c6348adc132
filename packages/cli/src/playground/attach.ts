import type { Manager } from '../manager/index.ts';
import { createControl } from './control.ts';
import { Journal } from './journal.ts';
import { PoolRecorder } from './recorder.ts';
import { RunFeed } from './run-feed.ts';
import { servePage, type PageServer } from './server.ts';
import type { StepTap } from './step-tap.ts';

export interface AttachOptions {
  readonly title: string;
  readonly port?: number;
  /** Commands of the page are carried out. */
  readonly allowControl?: boolean | undefined;
  /** Prompts and model text are shown. */
  readonly content?: boolean | undefined;
  /** Directory of the run that the manager carries out; the page shows it as a batch, beside its sessions. */
  readonly runPath?: string | undefined;
}

/**
 * Serves a page for a running manager; disposing it ends the page, not the run.
 * @throws OpencodeManagerError those of `servePage`
 */
export async function attachPlayground(manager: Manager, tap: StepTap, options: AttachOptions): Promise<PageServer> {
  const { title, port, allowControl: control = false, content = false, runPath } = options;
  const { redactor } = manager.server;
  const journal = new Journal({ redactor });
  const recorder = new PoolRecorder(manager, tap, journal, { content, asks: control, redactor });
  const run = runPath === undefined ? undefined : new RunFeed(runPath, { content });
  try {
    const { doors, onCommand } = createControl(manager, recorder);
    const info = { mode: 'live', title, control, content, batch: run !== undefined, ...(control && { doors }) } as const;
    const page = await servePage({ info, journal, run, redactor, onCommand, ...(port !== undefined && { port }) });
    return {
      url: page.url,
      port: page.port,
      async [Symbol.asyncDispose]() {
        recorder[Symbol.dispose]();
        await page[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    recorder[Symbol.dispose]();
    throw error;
  }
}
