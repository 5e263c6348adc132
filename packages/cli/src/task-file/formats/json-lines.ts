import { isFields, kindOf, type FormatReader, type Row } from './format.ts';

/** JSON Lines: one task a line. */
export const readJsonLines: FormatReader = (text, problems) => {
  const rows: Row[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '') continue;
    const place = { name: `line ${index + 1}`, line: index + 1 };
    const report = problems.at(place);
    try {
      const value: unknown = JSON.parse(line);
      if (isFields(value)) rows.push({ place, fields: value });
      else report(`must be a JSON object, one a line; received ${kindOf(value)}`);
    } catch (error) {
      report(`not JSON (${(error as Error).message})`);
    }
  }
  return { unit: 'line', rows };
};
