import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeFileSync } from 'node:fs';
import type { TaskResult } from '@opencode-manager/actors';
import { OpencodeManagerError } from '@opencode-manager/core';
import type { PreparedRun } from '@opencode-manager/runs';
import { resultsOf } from '@opencode-manager/runs/read';
import { junitCases, junitReport, type JunitCase } from '../run-view/junit.ts';
import { describeCode, type Terminal } from '../terminal/index.ts';
import { reasonOf } from './reason.ts';
import type { Reporters } from './reporters.ts';

/** The JUnit report of `--reporter`, which is written when the run is over. */
export interface JunitOutput extends Disposable {
  finished(result: TaskResult): void;
  skipped(id: string, blockedBy: string | null): void;
  /** @throws OpencodeManagerError `OUTPUT_LOST` */
  write(terminal: Terminal, run: Pick<PreparedRun, 'id' | 'path' | 'plan'>): Promise<void>;
}

/**
 * Opens the file of the report and tries it, before anything starts. An earlier report is replaced at the end.
 * @throws OpencodeManagerError `OUTPUT_UNUSABLE`
 */
export function openJunitOutput({ output, junitFile }: Reporters): JunitOutput | undefined {
  if (junitFile === undefined && output !== 'junit') return undefined;
  const fd = junitFile === undefined ? undefined : openReport(junitFile);
  const createdAt = new Date().toISOString();
  const cases = new Map<string, JunitCase>();
  return {
    finished(result) {
      const { id, outcome, duration_ms: durationMs } = result;
      cases.set(id, { key: id, state: outcome, durationMs, reason: outcome === 'succeeded' ? '' : reasonOf(result) });
    },
    skipped(id, blockedBy) {
      const reason = blockedBy === null ? 'it was cancelled' : `it comes after ${blockedBy}, which has not succeeded`;
      cases.set(id, { key: id, state: 'skipped', durationMs: 0, reason });
    },
    async write(terminal, { id, path, plan }) {
      // Its directory has what earlier managers did too.
      const told = path === undefined ? plan.map(({ key }) => cases.get(key) ?? notStarted(key)) : junitCases(resultsOf(path));
      const report = await junitReport({ id, created_at: createdAt }, told);
      if (fd === undefined || junitFile === undefined) terminal.stdout.write(report);
      else replace(fd, junitFile, report);
    },
    [Symbol.dispose]() {
      if (fd !== undefined) closeSync(fd);
    },
  };
}

function notStarted(key: string): JunitCase {
  return { key, state: 'not_started', durationMs: 0, reason: 'it is not started' };
}

/** What is no report stays: it may be the task file. */
function openReport(file: string): number {
  let fd: number;
  try {
    fd = openSync(file, 'a+', 0o666);
  } catch (error) {
    throw unusable(file, `cannot be written (${codeOf(error)}). Name a file in an existing directory`, error);
  }
  const stats = fstatSync(fd);
  const start = Buffer.alloc(5);
  if (!stats.isFile() || (stats.size > 0 && (readSync(fd, start, 0, 5, 0) < 5 || start.toString() !== '<?xml'))) {
    closeSync(fd);
    throw unusable(file, stats.isFile() ? 'holds something that is no report. Name another file' : 'is no file. Name one');
  }
  return fd;
}

function replace(fd: number, file: string, report: string): void {
  try {
    ftruncateSync(fd, 0);
    writeFileSync(fd, report);
  } catch (error) {
    throw new OpencodeManagerError('OUTPUT_LOST', `--reporter junit=${file}: the report was not written (${codeOf(error)}).`, {
      details: { output: file },
      cause: error,
    });
  }
}

function codeOf(error: unknown): string {
  return describeCode((error as NodeJS.ErrnoException).code ?? String(error));
}

function unusable(file: string, why: string, cause?: unknown): OpencodeManagerError {
  return new OpencodeManagerError('OUTPUT_UNUSABLE', `--reporter junit=${file}: it ${why}. Nothing was started.`, {
    details: { output: file },
    ...(cause !== undefined && { cause }),
  });
}
