import { OpencodeManagerError } from '@opencode-manager/core';
import * as z from 'zod';
import type { Manager } from '../manager/index.ts';
import type { PoolRecorder } from './recorder.ts';
import type { PageCommand } from './server.ts';

/** What a page may do to a live run, and how it does it. */
export interface Control {
  /** The events that can be sent, as `session turn.abort`; what else a machine reacts to is not for a page to say. */
  readonly doors: readonly string[];
  /** @throws OpencodeManagerError what the run answers; `USAGE` for an event that is no door */
  readonly onCommand: (command: PageCommand) => Promise<void>;
}

type Door = (payload: unknown, actor: string) => unknown;

const answerSchema = z.union([
  z.object({ id: z.string(), answers: z.array(z.array(z.string().min(1)).min(1)).min(1) }),
  z.object({ id: z.string(), allow: z.boolean() }),
]);
const promptSchema = z.object({ prompt: z.string().trim().min(1) });
const taskSchema = z.looseObject({ prompt: z.string().trim().min(1) });
const cancelSchema = z.object({ taskId: z.string() });

/**
 * The doors of a live run, in the words of its machines. Each goes through what the pool, the server or the monitor offer
 * to anybody; the machines hear of it as of anything else.
 */
export function createControl(manager: Manager, recorder: PoolRecorder): Control {
  const doors: Readonly<Record<string, Door>> = { ...sessionDoors(manager, recorder), ...poolDoors(manager), ...serverDoors(manager) };
  return {
    doors: Object.keys(doors),
    async onCommand({ actor, type, payload }) {
      const door = doors[`${kindOf(actor, type)} ${type}`];
      if (!door) throw new OpencodeManagerError('USAGE', `A live run cannot be told ${type}: only its server can say that.`);
      await door(payload, actor);
    },
  };
}

/** The stream is every session's. */
function kindOf(actor: string, type: string): string {
  if (type === 'stream.gap') return 'session';
  return actor === 'pool' || actor === 'server' ? actor : 'session';
}

function sessionDoors({ pool, desk }: Manager, recorder: PoolRecorder): Readonly<Record<string, Door>> {
  const directoryOf = (actor: string) => {
    const directory = recorder.directoryOf(actor);
    if (directory === undefined) throw new OpencodeManagerError('NOT_FOUND', `The pool holds no session ${actor} (any more).`);
    return directory;
  };
  return {
    'session stream.gap': () => pool.monitor.reconnect('asked for on the page'),
    'session turn.abort': (_payload, actor) => pool.serverOf(actor).operations(actor, directoryOf(actor)).abort(),
    'session session.deleted': (_payload, actor) => pool.serverOf(actor).deleteSession(actor, { directory: directoryOf(actor) }),
    'session ask.closed': (payload, actor) => answerAsk(pool.serverOf(actor), actor, directoryOf(actor), read(answerSchema, payload)),
    async 'session turn.submit'(payload, actor) {
      const { prompt } = read(promptSchema, payload);
      const session = await desk.open(actor);
      void session.prompt(prompt).catch(() => undefined);
    },
  };
}

/** `always` is never sent: opencode would apply it to every session. */
async function answerAsk(server: Manager['server'], actor: string, directory: string, answer: z.infer<typeof answerSchema>): Promise<void> {
  const { permissions, questions } = await server.snapshot(directory);
  const isAnswered = ({ id }: { readonly id: string }) => id === answer.id;
  const permission = permissions.find(isAnswered);
  // A sub-agent may have asked.
  const open = permission ?? questions.find(isAnswered) ?? { id: answer.id, sessionId: actor, directory };
  if ('answers' in answer) return server.answerQuestion(open, { answers: answer.answers });
  if (!permission) return server.answerQuestion(open, { reject: true });
  return server.answerPermission(open, answer.allow ? { reply: 'once' } : { reply: 'reject', message: 'Denied on the page.' });
}

function poolDoors({ pool }: Manager): Readonly<Record<string, Door>> {
  /** Tasks that were queued from this page can be taken back from it. */
  const queued = new Map<string, AbortController>();
  return {
    async 'pool task.queued'(payload) {
      const id = `page-${queued.size + 1}`;
      const abort = new AbortController();
      const run = pool.run({ id, ...read(taskSchema, payload) }, { signal: abort.signal });
      queued.set(id, abort);
      await orRefused(run);
    },
    'pool task.cancelled'(payload) {
      const { taskId } = read(cancelSchema, payload);
      const abort = queued.get(taskId);
      if (!abort)
        throw new OpencodeManagerError('NOT_FOUND', `Only tasks that were queued on this page can be cancelled; ${taskId} was not.`);
      abort.abort();
    },
    'pool pool.drain': () => void pool.drain().catch(() => undefined),
    'pool pool.stop': () => void pool.stop().catch(() => undefined),
    'pool server.exited': () => kill(pool.server.pid),
  };
}

function serverDoors({ pool }: Manager): Readonly<Record<string, Door>> {
  return {
    'server server.lost': () => kill(pool.server.pid),
    // Not awaited to its end: the page shows how it goes on.
    'server rotation.wanted': () => orRefused(pool.rotateServer()),
  };
}

/** Work that goes on, or the refusal that comes at once. */
async function orRefused(work: Promise<unknown>): Promise<void> {
  await Promise.race([work, new Promise((resolve) => setImmediate(resolve))]);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    throw new OpencodeManagerError('NOT_FOUND', 'There is no server process just now.');
  }
}

function read<Schema extends z.ZodType>(schema: Schema, payload: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(payload);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': '));
  throw new OpencodeManagerError('USAGE', `This payload cannot be sent: ${problems.join('; ')}.`);
}
