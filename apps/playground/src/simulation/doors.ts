import type { Json } from '../trace/format.ts';
import type { SimulatedRun } from './simulated-run.ts';

type Door = (run: SimulatedRun, payload: Fields, actor: string) => void;

interface Fields {
  readonly id?: string;
  readonly allow?: boolean;
  readonly answers?: readonly (readonly string[])[];
  readonly prompt?: string;
  readonly taskId?: string;
  readonly priority?: number;
  readonly group?: string;
  readonly rssBytes?: number;
}

/**
 * What a simulated run can be told, in the words of its machines. As in a live run each goes through what the pool and the server
 * offer, and the machines hear of it as of anything else.
 */
const doors: Readonly<Record<string, Door>> = {
  'session turn.submit': (run, { prompt = 'Hello' }, actor) => run.prompt(actor, prompt),
  'session ask.closed': (run, { id = '', allow, answers }) =>
    run.answer(id, answers ? { type: 'answer', answers } : { type: allow === false ? 'deny' : 'allow' }),
  'session session.deleted': (run, _payload, actor) => run.deleteSession(actor),
  'session stream.gap': (run) => run.cutStream(),
  'session server.exited': (run) => run.killServer(),
  'session server.interrupted': (run) => run.killServer(),
  'pool task.queued': (run, { priority = 0, group = '' }) => run.queueTasks(1, { priority, group }),
  'pool task.cancelled': (run, { taskId = '' }) => run.cancel(taskId),
  'pool pool.drain': (run) => void run.pool?.drain().catch(() => undefined),
  'pool pool.stop': (run) => void run.pool?.stop().catch(() => undefined),
  'pool server.exited': (run) => run.killServer(),
  'server server.lost': (run) => run.killServer(),
  'server rotation.wanted': (run) => run.rotateServer(),
  'server server.memory': (run, { rssBytes = 0 }) => run.setMemory(rssBytes),
};

export const simulatedDoors: readonly string[] = Object.keys(doors);

/** Carries out what the user wrote. Any other event is a fact that the machine is told as it is. */
export function sendTo(run: SimulatedRun, actor: string, type: string, payload: Json): void {
  const kind = actor === 'pool' || actor === 'server' ? actor : 'session';
  const door = doors[`${kind} ${type}`];
  if (door) door(run, payload as Fields, actor);
  else run.tell(actor, type, payload);
}
