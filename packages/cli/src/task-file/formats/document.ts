import { didYouMean } from '@opencode-manager/core/errors';
import type { Place, Problems } from '../problems.ts';
import { isFields, kindOf, type Placed, type Row, type TaskDocument } from './format.ts';

/** The lines of a value's parts: of the fields of an object, or of the items of a list. */
export interface Lines {
  /** Line of the part of this name or index; of the whole when it is not known. */
  lineOf(...path: readonly (string | number)[]): number;
}

const parts = ['defaults', 'matrix', 'tasks'];

/** A list of tasks, or `{defaults, matrix, tasks}`, as JSON and YAML have them. */
export function documentOf(value: unknown, lines: Lines, problems: Problems): TaskDocument {
  if (Array.isArray(value)) return { unit: 'entry', rows: rowsOf(value, [], lines, problems) };
  const whole = problems.at({ name: 'line 1', line: 1 });
  if (!isFields(value)) {
    whole(`must be a list of tasks, or an object with tasks; received ${kindOf(value)}`);
    return { unit: 'entry', rows: [] };
  }
  const placed = (name: string): Placed => ({ place: placeOf(name, lines.lineOf(name)), value: value[name] });
  for (const key of Object.keys(value))
    if (!parts.includes(key))
      problems.at(placeOf(key, lines.lineOf(key)))(`is no part of a task file. ${didYouMean(key, parts)}Known: ${parts.join(', ')}`);
  const { tasks } = value;
  if (!Array.isArray(tasks)) placedReport(placed('tasks'), problems, tasks);
  return {
    unit: 'entry',
    rows: Array.isArray(tasks) ? rowsOf(tasks, ['tasks'], lines, problems) : [],
    ...(value['defaults'] != null && { defaults: placed('defaults') }),
    ...(value['matrix'] != null && { matrix: placed('matrix') }),
  };
}

function placedReport({ place }: Placed, problems: Problems, value: unknown): void {
  problems.at(place)(`must be a list of tasks; received ${value === undefined ? 'nothing' : kindOf(value)}`);
}

function rowsOf(values: readonly unknown[], path: readonly string[], lines: Lines, problems: Problems): Row[] {
  return values.flatMap((fields, index) => {
    const place = placeOf(`task ${index + 1}`, lines.lineOf(...path, index));
    if (isFields(fields)) return [{ place, fields }];
    problems.at(place)(`must be an object; received ${kindOf(fields)}`);
    return [];
  });
}

function placeOf(name: string, line: number): Place {
  return { name: `${name} (line ${line})`, line };
}
