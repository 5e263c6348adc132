import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { unlessMissing } from '../errors.ts';
import type { Journal, JournalRow } from '../journal/events.ts';
import type { Redact } from '../redact.ts';
import { AppendFile } from './append-file.ts';
import { replaceFile } from './replace-file.ts';

/** What was done to `results.jsonl`. */
export interface ResultsRepair {
  /** `rebuilt`: it was missing, torn, or told something else than the journal. `completed`: lines were missing at its end. */
  readonly was: 'whole' | 'completed' | 'rebuilt';
  /** Lines that were written. */
  readonly lines: number;
}

/** The line of a finished attempt: `{seq, final, ...result}`; undefined for any other row. */
function resultLine({ sequence, event }: JournalRow, redact: Redact): string | undefined {
  if (event.type !== 'attempt.ended') return undefined;
  return JSON.stringify(redact({ seq: sequence, final: event.final, ...event.result }));
}

/**
 * Makes `results.jsonl` tell what the journal tells. Lines that are there already are left as they are; only a file that is missing or
 * damaged is written anew. No other process may write it meanwhile.
 * @throws `RUN_STORAGE_FULL`, `RUN_UNREADABLE` (of the journal)
 */
export async function repairResults(path: string, journal: Journal, redact: Redact): Promise<ResultsRepair> {
  const there = await sequencesIn(path);
  const rest = there && linesAfter(there, journal, redact);
  if (rest === undefined) return rebuild(path, journal, redact);
  if (rest.length === 0) return { was: 'whole', lines: 0 };
  const file = await AppendFile.open(path);
  try {
    await file.append(rest);
  } finally {
    await file.close();
  }
  return { was: 'completed', lines: rest.length };
}

/** `results.jsonl` of a run that goes on. */
export class ResultsFile {
  private readonly path: string;
  private readonly journal: Journal;
  private readonly redact: Redact;
  private file: AppendFile;
  private isBehind = false;
  private catchingUp = 0;
  private last: Promise<void> = Promise.resolve();

  private constructor(path: string, journal: Journal, redact: Redact, file: AppendFile) {
    this.path = path;
    this.journal = journal;
    this.redact = redact;
    this.file = file;
  }

  /** @throws as {@link repairResults} */
  static async open(path: string, journal: Journal, redact: Redact): Promise<{ file: ResultsFile; repaired: ResultsRepair }> {
    const repaired = await repairResults(path, journal, redact);
    return { file: new ResultsFile(path, journal, redact, await AppendFile.open(path)), repaired };
  }

  /**
   * Writes the lines of rows that the journal has. What could not be written comes with the next call, in its place.
   * @throws `RUN_STORAGE_FULL`, `RUN_GONE`
   */
  append(rows: readonly JournalRow[]): Promise<void> {
    if (this.isBehind) return this.catchUp();
    const lines = rows.flatMap((row) => resultLine(row, this.redact) ?? []);
    return this.file.append(lines).catch((error: unknown) => {
      this.isBehind = true;
      throw error;
    });
  }

  async close(): Promise<void> {
    await this.last;
    await this.file.close();
  }

  /** One after the other until nobody waits: rows that came meanwhile may have been read or not. */
  private catchUp(): Promise<void> {
    this.catchingUp += 1;
    const done = this.last.then(() => this.repair());
    this.last = done.catch(() => {});
    return done;
  }

  private async repair(): Promise<void> {
    try {
      await this.file.close();
      await repairResults(this.path, this.journal, this.redact);
      this.file = await AppendFile.open(this.path);
      if (this.catchingUp === 1) this.isBehind = false;
    } finally {
      this.catchingUp -= 1;
    }
  }
}

async function rebuild(path: string, journal: Journal, redact: Redact): Promise<ResultsRepair> {
  let lines = 0;
  await replaceFile(
    path,
    linesOf(journal, redact).map((line) => {
      lines += 1;
      return `${line}\n`;
    }),
  );
  return { was: 'rebuilt', lines };
}

function* linesOf(journal: Journal, redact: Redact): Generator<string, undefined> {
  for (const row of journal.read()) {
    const line = resultLine(row, redact);
    if (line !== undefined) yield line;
  }
  return undefined;
}

/** What the journal tells after these lines; undefined when they are not how it begins. */
function linesAfter(there: readonly number[], journal: Journal, redact: Redact): string[] | undefined {
  const rest: string[] = [];
  let index = 0;
  for (const row of journal.read()) {
    if (row.event.type !== 'attempt.ended') continue;
    if (index >= there.length) rest.push(resultLine(row, redact)!);
    else if (there[index] !== row.sequence) return undefined;
    index += 1;
  }
  return index < there.length ? undefined : rest;
}

/** The numbers of the lines of a file; undefined when it is missing or one of its lines is not whole. */
async function sequencesIn(path: string): Promise<number[] | undefined> {
  const size = (await stat(path).catch(unlessMissing))?.size;
  if (size === undefined || (size > 0 && !(await endsWithNewline(path, size)))) return undefined;
  const sequences: number[] = [];
  const input = createReadStream(path);
  try {
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      const sequence = sequenceIn(line);
      if (sequence === undefined) return undefined;
      sequences.push(sequence);
    }
    return sequences;
  } finally {
    input.destroy();
  }
}

async function endsWithNewline(path: string, size: number): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
    return buffer.toString() === '\n';
  } finally {
    await file.close();
  }
}

function sequenceIn(line: string): number | undefined {
  try {
    const sequence = (JSON.parse(line) as { seq?: unknown } | null)?.seq;
    return typeof sequence === 'number' ? sequence : undefined;
  } catch {
    return undefined;
  }
}
