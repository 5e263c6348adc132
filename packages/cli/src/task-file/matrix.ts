import { createHash } from 'node:crypto';
import { isFields, type Fields, type Placed } from './formats/format.ts';
import { shown, type Problems, type Report } from './problems.ts';
import { taskLineSchema } from './schema.ts';

type Scalar = string | number | boolean;

/** One combination of a matrix: the fields that it sets, and what it adds to the id of a task. */
export interface Combination {
  readonly axes: Readonly<Record<string, Scalar>>;
  /** `model=anthropic/claude-sonnet-5,agent=plan` */
  readonly label: string;
}

/** More tasks than this are a mistake. */
export const mostTasks = 100_000;

/** Fields that name a task, or hold more than a value. */
export const noAxes: ReadonlySet<string> = new Set(['id', 'after', 'metadata']);

/** Reads `matrix`: each axis is a field of a task with a list of its values; `exclude` lists combinations that are left out. */
export function combinationsOf({ place, value }: Placed, problems: Problems): readonly Combination[] {
  const report = problems.at(place);
  if (!isFields(value)) return report(`must be an object with a list for each axis; received ${shown(value)}`) ?? [];
  const { exclude = [], ...axes } = value;
  const lists = Object.entries(axes).map(([name, values]) => ({ name, values: valuesOf(name, values, report) }));
  const count = lists.reduce((product, { values }) => product * values.length, 1);
  if (count > mostTasks) return report(`makes ${count} combinations; at most ${mostTasks} are run`) ?? [];
  const excluded = excludedOf(exclude, axes, report);
  let combinations: Record<string, Scalar>[] = [{}];
  for (const { name, values } of lists)
    combinations = combinations.flatMap((one) => values.map((axis) => Object.assign({}, one, { [name]: axis })));
  const left = combinations.filter((one) => !excluded.some((row) => Object.entries(row).every(([name, axis]) => one[name] === axis)));
  if (left.length === 0) report('leaves no combination');
  return left.map((one) => ({ axes: one, label: labelOf(one) }));
}

function valuesOf(name: string, values: unknown, report: Report): readonly Scalar[] {
  if (!(name in taskLineSchema.shape) || noAxes.has(name)) {
    report(`${name}: is no field of a task that can be an axis`);
    return [];
  }
  if (!Array.isArray(values) || values.length === 0) {
    report(`${name}: must be a list of values; received ${shown(values)}`);
    return [];
  }
  const schema = taskLineSchema.shape[name as keyof typeof taskLineSchema.shape];
  for (const [index, value] of values.entries()) {
    const problem = isScalar(value) ? schema.safeParse(value).error?.issues[0]?.message : 'must be text, a number, true or false';
    if (problem !== undefined) report(`${name}.${index}: ${problem}; received ${shown(value)}`);
    else if (values.indexOf(value) !== index) report(`${name}.${index}: ${shown(value)} stands in the list twice`);
  }
  return values.filter(isScalar);
}

function isScalar(value: unknown): value is Scalar {
  return ['string', 'number', 'boolean'].includes(typeof value);
}

function excludedOf(exclude: unknown, axes: Fields, report: Report): readonly Fields[] {
  if (!Array.isArray(exclude) || !exclude.every((row) => isFields(row) && Object.keys(row).length > 0)) {
    report(`exclude: must be a list of combinations such as {"model": "..."}; received ${shown(exclude)}`);
    return [];
  }
  for (const [index, row] of (exclude as Fields[]).entries())
    for (const [name, value] of Object.entries(row)) {
      const values = axes[name];
      if (!Array.isArray(values)) report(`exclude.${index}.${name}: there is no such axis`);
      else if (!values.includes(value)) report(`exclude.${index}.${name}: ${shown(value)} is no value of this axis`);
    }
  return exclude as Fields[];
}

/** Longer values, and texts of several lines, stand in an id with their beginning and 8 digits of their hash. */
const longestValue = 60;

function labelOf(axes: Readonly<Record<string, Scalar>>): string {
  const named = Object.entries(axes).map(([name, value]) => `${name}=${shortOf(String(value))}`);
  return named.join(',');
}

function shortOf(value: string): string {
  if (value.length <= longestValue && !/[\n\r]/.test(value)) return value;
  const hash = createHash('sha256').update(value).digest('hex').slice(0, 8);
  return `${value.slice(0, 30).replaceAll(/\s+/g, ' ').trim()}~${hash}`;
}
