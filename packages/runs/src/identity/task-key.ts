import type { Task } from '@opencode-manager/actors';
import { failure } from '../errors.ts';
import { digestOf } from './canonical-json.ts';

/** What a task says itself; defaults of the run and the configuration are no part of it. */
export type OwnFields = Pick<Task, 'id' | 'prompt' | 'command' | 'shell' | 'system' | 'agent' | 'model' | 'directory' | 'files'>;

/**
 * The name of a task in its run: its id, else `h-` and 16 hexadecimal digits over its own fields. So an edited configuration gives no task
 * a new name. Give `directory` and paths as the source has them: absolute ones change when the repository moves.
 * @example taskKey({ id: 'fix-1', prompt: 'Fix it' }) // 'fix-1'
 */
export function taskKey(task: OwnFields): string {
  if (task.id !== undefined) return task.id;
  const { prompt, command, shell, system, agent, model, directory, files } = task;
  const names = files?.map(({ path, url }) => path ?? url);
  return `h-${digestOf({ prompt, command, shell, system, agent, model, directory, files: names }).slice(0, 16)}`;
}

/** The key of a repeat of a task; `index` counts from 1. */
export function repeatKey(key: string, index: number): string {
  return `${key}#${index}`;
}

/** Where a task stands: in a line of a file, or at a position of a list, from 1. */
export interface TaskPlace {
  /** How the source is called in messages. */
  readonly source: string;
  readonly line?: number;
  readonly position?: number;
}

export interface PlacedTask<Own extends OwnFields = OwnFields> {
  readonly task: Own;
  readonly place: TaskPlace;
}

export interface KeyedTask<Own extends OwnFields = OwnFields> extends PlacedTask<Own> {
  readonly key: string;
}

/** Pairs that are listed before the rest is summed up. */
const listedPairs = 20;

/**
 * Gives each task its key.
 * @throws `TASK_DUPLICATE` naming both places of each pair: of tasks with one id, and of tasks without an id that ask for the same
 */
export function keyTasks<Own extends OwnFields>(tasks: readonly PlacedTask<Own>[]): readonly KeyedTask<Own>[] {
  const first = new Map<string, KeyedTask<Own>>();
  const problems: string[] = [];
  const keyed = tasks.map((placed) => ({ ...placed, key: taskKey(placed.task) }));
  for (const one of keyed) {
    const before = first.get(one.key);
    if (before) problems.push(duplicateOf(before, one));
    else first.set(one.key, one);
  }
  if (problems.length === 0) return keyed;
  const more = problems.length > listedPairs ? `\n... and ${problems.length - listedPairs} more` : '';
  throw failure('TASK_DUPLICATE', `${problems.slice(0, listedPairs).join('\n')}${more}`, { duplicates: problems.length });
}

function duplicateOf(before: KeyedTask, after: KeyedTask): string {
  const places = `${placeOf(before.place)} and ${placeOf(after.place, before.place)}`;
  if (before.task.id === undefined && after.task.id === undefined)
    return `${places} ask for the same. Give each an id, or write the task once with repeat.`;
  return `${places} have the same id ${JSON.stringify(before.key)}. Give each task an id of its own.`;
}

/** The source is not said again when it is that of the other task. */
function placeOf({ source, line, position }: TaskPlace, other?: TaskPlace): string {
  const where = line === undefined ? `task ${position ?? '?'}` : `line ${line}`;
  return other?.source === source ? where : `${source}: ${where}`;
}
