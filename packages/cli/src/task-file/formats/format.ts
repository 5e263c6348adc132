import type { Place, Problems, Unit } from '../problems.ts';

/** Fields by their names, as a file has them. */
export type Fields = Readonly<Record<string, unknown>>;

/** A task as its file has it. */
export interface Row {
  readonly place: Place;
  readonly fields: Fields;
}

/** A value of a file, and where it stands. */
export interface Placed {
  readonly place: Place;
  readonly value: unknown;
}

/** What a task file holds, before anything of it is checked. */
export interface TaskDocument {
  readonly unit: Unit;
  readonly rows: readonly Row[];
  /** Merged under each task. */
  readonly defaults?: Placed;
  /** Multiplies the tasks. */
  readonly matrix?: Placed;
}

/** Reads the text of a file of one format; what cannot be read is noted. */
export type FormatReader = (text: string, problems: Problems) => TaskDocument;

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a value is, where an object was wanted. */
export function kindOf(value: unknown): string {
  return Array.isArray(value) ? 'an array' : (JSON.stringify(value)?.slice(0, 40) ?? 'nothing');
}
