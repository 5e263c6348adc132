import { isCollection, isNode, LineCounter, parseDocument, type Document } from 'yaml';
import type { Problems } from '../problems.ts';
import { documentOf, type Lines } from './document.ts';
import type { FormatReader, TaskDocument } from './format.ts';

/** What a file may come to with its aliases written out. A few lines of them can stand for more than any memory holds. */
const mostValues = 1_000_000;
const mostCharacters = 100_000_000;

/** YAML 1.2: a list of tasks, or `defaults`, `matrix` and `tasks`. Anchors, aliases and `<<` are read, tags of one's own refused. */
export const readYaml: FormatReader = (text, problems) => {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, merge: true, prettyErrors: false, logLevel: 'error' });
  const lineAt = (offset: number) => Math.max(1, counter.linePos(offset).line);
  for (const { message, pos } of [...document.errors, ...document.warnings]) reportAt(problems, lineAt(pos[0]), `not YAML (${message})`);
  if (document.errors.length + document.warnings.length > 0) return nothing;
  const value = valueOf(document, problems);
  return value === undefined ? nothing : documentOf(value, linesOf(document, lineAt), problems);
};

const nothing: TaskDocument = { unit: 'entry', rows: [] };

function reportAt(problems: Problems, line: number, problem: string): undefined {
  return problems.at({ name: `line ${line}`, line })(problem);
}

/** Aliases share what they stand for, so that to read them is linear; what is done with them later is not. */
function valueOf(document: Document, problems: Problems): unknown {
  try {
    const value: unknown = document.toJS({ maxAliasCount: -1 });
    if (isBounded(value)) return value ?? [];
    return reportAt(
      problems,
      1,
      `its aliases stand for more than ${mostValues} values; write out what they repeat, or use defaults and matrix`,
    );
  } catch (error) {
    return reportAt(problems, 1, `not YAML (${(error as Error).message})`);
  }
}

function isBounded(value: unknown): boolean {
  let [values, characters] = [0, 0];
  const left: unknown[] = [value];
  while (left.length > 0) {
    const one = left.pop();
    values += 1;
    if (typeof one === 'string') characters += one.length;
    if (values + left.length > mostValues || characters > mostCharacters) return false;
    if (typeof one === 'object' && one !== null) for (const inner of Object.values(one)) left.push(inner);
  }
  return true;
}

function linesOf(document: Document, lineAt: (offset: number) => number): Lines {
  return {
    lineOf(...path) {
      const found: unknown = isCollection(document.contents) ? document.contents.getIn(path, true) : undefined;
      return lineAt(isNode(found) ? (found.range?.[0] ?? 0) : 0);
    },
  };
}
