import { findNodeAtLocation, parseTree } from 'jsonc-parser';
import { documentOf, type Lines } from './document.ts';
import { isFields, type FormatReader } from './format.ts';
import { readJsonLines } from './json-lines.ts';

/** A JSON array of tasks, an object `{defaults, matrix, tasks}`, or one task. A file of that name that holds JSON Lines is read as such. */
export const readJson: FormatReader = (text, problems) => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!text.trimStart().startsWith('[')) return readJsonLines(text, problems);
    const { message } = error as Error;
    const line = Number(/\(line (\d+)/.exec(message)?.[1] ?? 1);
    problems.at({ name: `line ${line}`, line })(`not JSON (${message})`);
    return { unit: 'entry', rows: [] };
  }
  if (isFields(value) && !('tasks' in value)) return { unit: 'line', rows: [{ place: { name: 'line 1', line: 1 }, fields: value }] };
  return documentOf(value, linesOf(text), problems);
};

function linesOf(text: string): Lines {
  const tree = parseTree(text);
  // Sought in their order, so that the text is gone through once.
  let [known, line] = [0, 1];
  return {
    lineOf(...path) {
      const offset = tree && findNodeAtLocation(tree, [...path])?.offset;
      if (offset === undefined) return 1;
      if (offset < known) [known, line] = [0, 1];
      for (; known < offset; known += 1) if (text.codePointAt(known) === 10) line += 1;
      return line;
    },
  };
}
