import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import type { Reading } from './reading.ts';

/** Plain opencode's readings by row. Equal parts (most agents, the same prompts) are kept once. */
export interface Recording {
  readonly version: string;
  readonly readings: Readonly<Record<string, Reading>>;
}

interface RecordingFile {
  readonly version: string;
  readonly parts: Record<string, unknown>;
  readonly readings: Record<string, unknown>;
}

/** Shorter parts stand where they are. */
const shortestPart = 40;

export function recordingFile(version: string): URL {
  return new URL(`recorded/${version}.json`, import.meta.url);
}

export async function readRecording(version: string): Promise<Recording> {
  const { parts, readings } = JSON.parse(await readFile(recordingFile(version), 'utf8')) as RecordingFile;
  const whole = (value: unknown): unknown => {
    if (typeof value === 'string') return value.startsWith('#') && value in parts ? whole(parts[value]) : value;
    if (Array.isArray(value)) return value.map(whole);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, whole(item)]));
  };
  return { version, readings: whole(readings) as Recording['readings'] };
}

export async function writeRecording({ version, readings }: Recording): Promise<void> {
  const parts: Record<string, unknown> = {};
  const shared = (value: unknown): unknown => {
    const inner = innerOf(value, shared);
    const text = JSON.stringify(inner);
    if (text === undefined || text.length < shortestPart) return inner;
    const name = `#${createHash('sha256').update(text).digest('hex').slice(0, 12)}`;
    parts[name] = inner;
    return name;
  };
  const file: RecordingFile = {
    version,
    readings: innerOf(readings, (reading) => innerOf(reading, shared)) as Record<string, unknown>,
    parts,
  };
  await writeFile(recordingFile(version), `${JSON.stringify(file, null, 1)}\n`);
}

function innerOf(value: unknown, map: (item: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(map);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, map(item)]));
}
