import { CsvError, parse, type InfoField } from 'csv-parse/sync';
import { aliases } from '../schema.ts';
import { shown, type Place, type Problems, type Report } from '../problems.ts';
import type { Fields, FormatReader, Row } from './format.ts';

/** Columns whose cells are numbers. */
const numbers: ReadonlySet<string> = new Set(['priority', 'retries', 'repeat', 'limits.steps', 'limits.tokens', 'limits.usd']);
/** Columns that hold JSON where a cell begins as a list or an object does. */
const structured: ReadonlySet<string> = new Set(['permissions', 'after', 'files', 'limits', 'metadata', 'output_schema']);
/** Of those: a cell that is no JSON is their only item. */
const lists: ReadonlySet<string> = new Set(['after', 'files']);
/** Fields that a column can name a part of: `metadata.split`. */
const parents: ReadonlySet<string> = new Set(['metadata', 'limits']);

/** CSV with a header (RFC 4180): separated by comma, semicolon or tab, whichever the header has. An empty cell is an absent field. */
export const readCsv: FormatReader = (text, problems) => {
  const [header = ''] = text.split(/\r?\n/, 1);
  const delimiter = [',', ';', '\t'].find((one) => header.includes(one)) ?? ',';
  const rows: Row[] = [];
  let line = 1;
  try {
    const records = parse(text, { delimiter, info: true, skip_empty_lines: true, relax_column_count: true }) as unknown as Read[];
    const [names, ...rest] = records.map(({ record }) => record);
    refuseRepeated(names ?? [], problems);
    for (const [index, cells] of rest.entries()) {
      line = records[index]!.info.lines + 1;
      const place = { name: `row ${index + 1} (line ${line})`, line };
      rows.push({ place, fields: fieldsOf(names!, cells, place, problems) });
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const at = Number(error['lines'] ?? line);
    problems.at({ name: `line ${at}`, line: at })(`not CSV (${error.message})`);
  }
  return { unit: 'row', rows };
};

interface Read {
  readonly record: readonly string[];
  readonly info: InfoField;
}

function refuseRepeated(names: readonly string[], problems: Problems): void {
  const report = problems.at({ name: 'the header (line 1)', line: 1 });
  for (const [index, name] of names.entries()) {
    if (name.trim() === '') report(`column ${index + 1} has no name`);
    else if (names.indexOf(name) !== index) report(`column ${index + 1} is named ${shown(name)}, as column ${names.indexOf(name) + 1} is`);
  }
}

function fieldsOf(names: readonly string[], cells: readonly string[], place: Place, problems: Problems): Fields {
  const report = problems.at(place);
  if (cells.length !== names.length) report(`has ${cells.length} cells; the header has ${names.length}`);
  const fields: Record<string, unknown> = {};
  for (const [index, column] of names.entries()) {
    const cell = cells[index] ?? '';
    if (cell === '') continue;
    const name = aliases[column.trim()] ?? column.trim();
    const [parent = '', ...path] = name.split('.');
    const value = valueOf(name, cell, report);
    const inner = fields[parent];
    if (path.length === 0 || !parents.has(parent)) fields[column.trim()] = value;
    else fields[parent] = { ...(typeof inner === 'object' && inner), [path.join('.')]: value };
  }
  return fields;
}

function valueOf(name: string, cell: string, report: Report): unknown {
  if (numbers.has(name)) return /^-?\d+(\.\d+)?$/.test(cell.trim()) ? Number(cell) : cell;
  if (!structured.has(name)) return cell;
  if (!/^\s*[[{]/.test(cell)) return lists.has(name) ? [cell] : cell;
  try {
    return JSON.parse(cell) as unknown;
  } catch (error) {
    return report(`${name}: not JSON (${(error as Error).message}); received ${shown(cell)}`);
  }
}
