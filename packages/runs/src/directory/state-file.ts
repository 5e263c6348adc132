import { readFile } from 'node:fs/promises';
import { isErrno, unlessMissing } from '../errors.ts';
import type { Redact } from '../redact.ts';
import { replaceQuickly } from './replace-file.ts';

/** What `state.json` tells to dashboards: counts, spend, rate, time that is left, pid. Plain JSON in `snake_case`. */
export type RunState = Readonly<Record<string, unknown>>;

/** Largest `state.json`, in bytes. */
const largestState = 4096;

const intervalMs = 1000;

/**
 * `state.json`: the newest state, written at most once a second while it changes. It is for looking at: nothing is read back from it, and a
 * write that fails is tried again with the next change.
 */
export class StateFile {
  private readonly path: string;
  private readonly redact: Redact;
  private readonly onFailure: (error: unknown) => void;
  private wanted: (() => RunState) | undefined;
  private written: string | undefined;
  private writtenAtMs = -Infinity;
  private timer: NodeJS.Timeout | undefined;
  private last: Promise<void> = Promise.resolve();

  constructor(path: string, redact: Redact, onFailure: (error: unknown) => void = () => {}) {
    this.path = path;
    this.redact = redact;
    this.onFailure = onFailure;
  }

  /** @param state Asked for when it is written */
  tell(state: () => RunState): void {
    this.wanted = state;
    if (this.timer !== undefined) return;
    const waitMs = this.writtenAtMs + intervalMs - performance.now();
    this.timer = setTimeout(() => void this.flush(), Math.max(0, waitMs)).unref();
  }

  /** Writes what waits. */
  flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.last = this.last.then(() => this.write());
    return this.last;
  }

  private async write(): Promise<void> {
    const { wanted } = this;
    if (wanted === undefined) return;
    this.wanted = undefined;
    const text = fitting(this.redact(wanted()));
    if (text === this.written) return;
    this.writtenAtMs = performance.now();
    try {
      await replaceQuickly(this.path, text);
      this.written = text;
    } catch (error) {
      this.onFailure(error);
    }
  }
}

/** The state in at most 4 KB: the largest fields go first, and `omitted` names them. */
function fitting(state: RunState): string {
  const omitted: string[] = [];
  const kept = new Map(Object.entries(state));
  const text = () => `${JSON.stringify({ ...Object.fromEntries(kept), ...(omitted.length > 0 && { omitted }) })}\n`;
  while (kept.size > 0 && Buffer.byteLength(text()) > largestState) {
    const [largest] = [...kept].toSorted(([, one], [, other]) => sizeOf(other) - sizeOf(one))[0]!;
    kept.delete(largest);
    omitted.push(largest.slice(0, 40));
  }
  return text();
}

function sizeOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value) ?? '');
}

/** The newest state that a run has told; undefined when it has told none yet. */
export async function readState(path: string): Promise<RunState | undefined> {
  try {
    const text = await readFile(path, 'utf8').catch(unlessMissing);
    return text === undefined ? undefined : (JSON.parse(text) as RunState);
  } catch (error) {
    if (isErrno(error, 'EACCES')) throw error;
    return undefined;
  }
}
