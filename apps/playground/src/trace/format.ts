/** Plain JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Between whom an event passes. */
export type Lane = 'user' | 'pool' | 'session' | 'worker' | 'server';

/** What a record is besides an event: a filter of the log, a mark on the timeline. */
export type RecordTag = 'error' | 'ask' | 'gap' | 'delta';

/** One value of a context that changed; `path` is dotted. A value that is absent is `undefined`, and left out of the JSON. */
export interface Change {
  readonly path: string;
  readonly before?: Json;
  readonly after?: Json;
}

/**
 * One thing that happened in a run. Records count from 1 without gaps; what the page shows at any moment is computed
 * from the records up to it, and from nothing else.
 */
export interface RunRecord {
  readonly seq: number;
  /** Milliseconds since the epoch, by the clock of the run: a simulated one has its own. */
  readonly atMs: number;
  /** `pool`, `server`, `stream`, or the id of a session. */
  readonly actor: string;
  readonly type: string;
  /** Between whom it passed, where that is not what its type says. */
  readonly from?: Lane;
  readonly to?: Lane;
  readonly payload?: Json;
  /** State of the actor afterwards, as a dotted path; present when it changed. */
  readonly path?: string;
  /** Transitions taken, by the ids of the chart. */
  readonly transitions?: readonly string[];
  /** Effects that the machine asked its host for. */
  readonly effects?: readonly string[];
  readonly changes?: readonly Change[];
  /** Only `delta` is written down; the others are told by type and state. */
  readonly tags?: readonly RecordTag[];
}

/** A question of a model, as its answer form needs it. */
export interface Question {
  readonly header: string;
  readonly question: string;
  readonly options: readonly { readonly label: string; readonly description: string }[];
  readonly multiple: boolean;
}

/** What kind of run a page shows, and what may be done with it. `run`: the directory of a run, and no sessions. */
export interface RunInfo {
  readonly mode: 'simulation' | 'live' | 'trace' | 'run';
  readonly title: string;
  /** A live pool may be controlled from the page. */
  readonly control: boolean;
  /** Prompts and model text are part of the records. */
  readonly content: boolean;
  /** The run has a directory, and is shown as a batch. */
  readonly batch?: boolean;
  /** Events that the run can be told, as `session turn.abort`. A simulated session takes the facts of its server, too. */
  readonly doors?: readonly string[];
}

/** First line of a trace file; each line after it is one record. */
export interface TraceHeader {
  readonly format: 'opencode-manager-trace';
  readonly version: 1;
  readonly title: string;
  readonly source: 'simulation' | 'live';
  readonly content: boolean;
  /** Definitions of the machines that ran, so that the run is drawn with its own charts. */
  readonly machines?: { readonly session?: unknown; readonly pool?: unknown; readonly server?: unknown };
}

export interface Trace {
  readonly header: TraceHeader;
  readonly records: readonly RunRecord[];
}

/** A trace as text: JSON Lines. */
export function formatTrace({ header, records }: Trace): string {
  return [header, ...records].map((line) => `${JSON.stringify(line)}\n`).join('');
}

/** Reads a trace. Throws an `Error` that names the line; a last line that was cut off is left out. */
export function parseTrace(text: string): Trace {
  const lines = text.split('\n');
  const complete = lines.at(-1) === '' ? lines.slice(0, -1) : lines.slice(0, Math.max(1, lines.length - 1));
  const [first, ...rest] = complete.map((line, index) => parseLine(line, index + 1));
  if (!isHeader(first)) throw new Error('Line 1 is not the header of a trace (format "opencode-manager-trace", version 1).');
  return { header: first, records: rest.map((record, index) => checkRecord(record, index)) };
}

function parseLine(line: string, number: number): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new Error(`Line ${number} is not JSON.`);
  }
}

function isHeader(value: unknown): value is TraceHeader {
  const header = value as Partial<TraceHeader> | null;
  return header?.format === 'opencode-manager-trace' && header.version === 1 && typeof header.title === 'string';
}

const lanes: ReadonlySet<unknown> = new Set<Lane>(['user', 'pool', 'session', 'worker', 'server']);

function checkRecord(value: unknown, index: number): RunRecord {
  const record = value as Partial<RunRecord> | null;
  const shaped =
    record !== null &&
    typeof record === 'object' &&
    typeof record.atMs === 'number' &&
    typeof record.actor === 'string' &&
    typeof record.type === 'string' &&
    [record.from, record.to].every((lane) => lane === undefined || lanes.has(lane)) &&
    isOptional(record.path, 'string') &&
    [record.transitions, record.effects, record.changes, record.tags].every((list) => list === undefined || Array.isArray(list));
  if (!shaped) throw new Error(`Line ${index + 2} is not a record of a run.`);
  // Files that were cut at the front keep their order, not their numbers.
  return { ...(record as RunRecord), seq: index + 1 };
}

function isOptional(value: unknown, type: 'string'): boolean {
  return value === undefined || typeof value === type;
}
