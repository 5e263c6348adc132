import type { Manager } from '../manager/index.ts';
import { createControl } from './control.ts';
import { Journal } from './journal.ts';
import { PoolRecorder } from './recorder.ts';
import { servePage, type PageServer } from './server.ts';

export interface AttachOptions {
  readonly title: string;
  readonly port?: number;
  /** Commands of the page are carried out. */
  readonly allowControl?: boolean;
  /** Prompts and model text are shown. */
  readonly content?: boolean;
}

/** Serves a page for a running manager; disposing it ends the page, not the run. @throws OpencodeManagerError those of `servePage` */
export async function attachPlayground(manager: Manager, options: AttachOptions): Promise<PageServer> {
  const { title, port, allowControl: control = false, content = false } = options;
  const journal = new Journal();
  const recorder = new PoolRecorder(manager, journal, { content, asks: control });
  try {
    const info = { mode: 'live', title, control, content } as const;
    const page = await servePage({ info, journal, onCommand: createControl(manager, recorder), ...(port !== undefined && { port }) });
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
