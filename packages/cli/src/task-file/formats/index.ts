import { extname } from 'node:path';
import { aliases, taskLineSchema } from '../schema.ts';
import type { Problems } from '../problems.ts';
import { readCsv } from './csv.ts';
import type { FormatReader, TaskDocument } from './format.ts';
import { readJson } from './json.ts';
import { readJsonLines } from './json-lines.ts';
import { readYaml } from './yaml.ts';

export type { Fields, Row, TaskDocument } from './format.ts';

/** By the end of a file's name. */
const readers: Readonly<Record<string, FormatReader>> = {
  '.jsonl': readJsonLines,
  '.ndjson': readJsonLines,
  '.json': readJson,
  '.yaml': readYaml,
  '.yml': readYaml,
  '.csv': readCsv,
  '.tsv': readCsv,
};

/** What a task file holds, read as its name says; where that says nothing, as its content looks. */
export function readDocument(text: string, source: string, problems: Problems): TaskDocument {
  const content = text.replace(/^\uFEFF/, '');
  const document = (readers[extname(source).toLowerCase()] ?? readerFor(content))(content, problems);
  problems.unit = document.unit;
  return document;
}

function readerFor(content: string): FormatReader {
  const begin = content.trimStart();
  if (begin.startsWith('[')) return readJson;
  if (begin.startsWith('{')) return /"tasks"\s*:/.test(begin) ? readJson : readJsonLines;
  const [first = ''] = begin.split(/\r?\n/, 1);
  if (/^(---|%YAML|#|- |-$|(defaults|matrix|tasks)\s*:)/.test(first)) return readYaml;
  const names = first.split(/[,;\t]/).map((name) => name.trim().replaceAll(/^"|"$/g, ''));
  return names.some((name) => name in taskLineSchema.shape || name in aliases) ? readCsv : readJsonLines;
}
