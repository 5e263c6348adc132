import { problemOf, taskKinds, withoutAliases } from './fields.ts';
import { isFields, type Fields, type Placed } from './formats/format.ts';
import { shown, type Problems } from './problems.ts';
import { taskLineSchema } from './schema.ts';

/** Fields that hold fields: a task's own are merged with those of the defaults. */
const merged: readonly string[] = ['metadata', 'limits'];

/** Reads `defaults`: fields of a task, without those that name one. */
export function defaultsOf({ place, value }: Placed, problems: Problems): Fields {
  const report = problems.at(place);
  if (!isFields(value)) return report(`must be an object with fields of a task; received ${shown(value)}`) ?? {};
  const defaults = withoutAliases(value, report);
  for (const [name, entry] of Object.entries(defaults)) {
    if (name === 'id') report('id: each task has an id of its own');
    else if (!(name in taskLineSchema.shape)) report(problemOf(name, entry, defaults) ?? `${name}: is no field of a task`);
  }
  return defaults;
}

/**
 * Puts defaults under the fields of a task, as its file has them. A field that the task has as null stays out; so does what the defaults say
 * is to be done, when the task says it itself.
 */
export function withDefaults(line: Fields, own: Fields, defaults: Fields): Fields {
  const isTold = taskKinds.some((kind) => kind in own);
  const left = Object.entries(defaults).filter(([name]) => line[name] !== null && !(isTold && taskKinds.includes(name)));
  const fields = { ...Object.fromEntries(left), ...own };
  for (const name of merged) {
    const [under, over] = [defaults[name], own[name]];
    if (isFields(under) && isFields(over)) fields[name] = { ...under, ...over };
  }
  return fields;
}
