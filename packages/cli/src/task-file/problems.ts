import { OpencodeManagerError } from '@opencode-manager/core';

/** Where something stands in a task file. */
export interface Place {
  /** As messages call it: `line 3`, `task 2 (line 17)`, `row 4 (line 9)`, `matrix (line 2)`. */
  readonly name: string;
  /** From 1. */
  readonly line: number;
}

/** What a task file is made of, in messages. */
export type Unit = 'line' | 'entry' | 'row';

const plurals: Readonly<Record<Unit, string>> = { line: 'lines', entry: 'entries', row: 'rows' };

/** Notes what is wrong at a place; gives undefined, as a reader that failed does. */
export type Report = (problem: string) => undefined;

/** Problems that are listed before the rest is summed up. */
const listedProblems = 20;

/** All that is wrong with a task file: it is refused as a whole, with each of its bad places. */
export class Problems {
  readonly #source: string;
  readonly #found: { readonly place: Place; readonly text: string }[] = [];
  readonly #known = new Set<string>();
  #unit: Unit = 'line';

  /** @param source How the file is called in messages */
  constructor(source: string) {
    this.#source = source;
  }

  set unit(unit: Unit) {
    this.#unit = unit;
  }

  /** What is wrong at a place. The same problem of the same place counts once: a matrix reads a task several times. */
  at(place: Place): Report {
    return (text) => {
      const name = `${place.name}: ${text}`;
      if (!this.#known.has(name)) this.#found.push({ place, text });
      this.#known.add(name);
      return undefined;
    };
  }

  /** @throws `TASK_INVALID` naming the bad places */
  throwIfAny(): void {
    if (this.#found.length === 0) return;
    // What cannot be read is found before what is wrong with the rest.
    const problems = this.#found.toSorted((one, other) => one.place.line - other.place.line);
    const told = problems.slice(0, listedProblems).map(({ place, text }) => `  ${place.name}: ${text}`);
    const more = problems.length - told.length;
    if (more > 0) told.push(`  and ${more} more`);
    const places = new Map(problems.map(({ place }) => [place.name, place.line]));
    const count = places.size === 1 ? `a bad ${this.#unit}` : `${places.size} bad ${plurals[this.#unit]}`;
    throw new OpencodeManagerError('TASK_INVALID', `${this.#source} has ${count}; nothing was started.\n${told.join('\n')}`, {
      details: { lines: [...new Set(places.values())].slice(0, listedProblems), problems: problems.length },
    });
  }
}

/** What was received, as a message shows it. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
