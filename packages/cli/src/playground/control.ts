import { OpencodeManagerError } from '@opencode-manager/core';
import * as z from 'zod';
import type { Manager } from '../manager/index.ts';
import type { PoolRecorder } from './recorder.ts';
import type { PageCommand } from './server.ts';

const answerSchema = z.looseObject({ id: z.string(), allow: z.boolean().optional() });

/**
 * What a page may do to a live run, in the words of the session machine: end a turn, answer an ask once, cut the event
 * stream. Each goes to the server or the monitor; the machines hear of it as of anything else.
 */
export function createControl(manager: Manager, recorder: PoolRecorder): (command: PageCommand) => Promise<void> {
  const { server, pool } = manager;
  return async ({ actor, type, payload }) => {
    if (type === 'stream.gap') return pool.monitor.reconnect('asked for on the page');
    if (type === 'turn.abort') {
      const directory = recorder.directoryOf(actor);
      if (directory === undefined) throw new OpencodeManagerError('NOT_FOUND', `No session ${actor} is known to this page.`);
      return server.operations(actor, directory).abort();
    }
    if (type === 'ask.closed') return answerAsk(manager, recorder, answerSchema.parse(payload));
    throw new OpencodeManagerError('USAGE', `A live run cannot be told ${type}: only its server can.`);
  };
}

/** `always` is never sent: opencode would apply it to every session. */
async function answerAsk({ server }: Manager, recorder: PoolRecorder, { id, allow = false }: z.infer<typeof answerSchema>): Promise<void> {
  const ask = recorder.openAsk(id);
  if (!ask) throw new OpencodeManagerError('NOT_FOUND', `No ask ${id} waits for an answer any more.`);
  if (ask.kind === 'question') return server.answerQuestion(id, ask.directory, { reject: true });
  return server.answerPermission(id, ask.directory, allow ? { reply: 'once' } : { reply: 'reject', message: 'Denied on the page.' });
}
