import type { TaskReading, TaskState } from '@opencode-manager/runs/read';
import { reasonOf } from './results.ts';

/** Longest message of a test case, in characters: a report is held in memory whole, since its head counts what follows. */
const longestMessage = 10_000;

/** A task as a report tells it. */
export interface JunitCase {
  readonly key: string;
  readonly state: TaskState;
  /** Milliseconds. */
  readonly durationMs: number;
  /** Why it has not succeeded, in a sentence. */
  readonly reason: string;
}

type Verdict = 'passed' | 'failure' | 'error' | 'skipped';

/** How outcomes read in a report: a task that did its work badly has failed; one that was kept from it is an error. */
function verdictOf({ state }: JunitCase): Verdict {
  switch (state) {
    case 'succeeded':
      return 'passed';
    case 'skipped':
    case 'not_started':
    case 'running':
    case 'waiting':
      return 'skipped';
    case 'quota_exhausted':
    case 'aborted':
    case 'interrupted':
    case 'server_lost':
      return 'error';
    default:
      return 'failure';
  }
}

/** What the directory of a run says of its tasks. */
export async function* junitCases(tasks: AsyncIterable<TaskReading>): AsyncGenerator<JunitCase, undefined> {
  for await (const task of tasks) {
    const durationMs = task.type === 'result' ? task.attempt.result.duration_ms : 0;
    yield { key: task.key, state: task.state, durationMs, reason: task.state === 'succeeded' ? '' : reasonOf(task) };
  }
  return undefined;
}

/** A JUnit report of a run: one test case a task. Times are in seconds. */
export async function junitReport(
  run: { readonly id: string; readonly created_at: string },
  tasks: AsyncIterable<JunitCase> | Iterable<JunitCase>,
): Promise<string> {
  const counts: Record<Verdict, number> = { passed: 0, failure: 0, error: 0, skipped: 0 };
  const cases: string[] = [];
  let totalMs = 0;
  for await (const task of tasks) {
    const verdict = verdictOf(task);
    counts[verdict] += 1;
    const { durationMs } = task;
    totalMs += durationMs;
    const head = `    <testcase name="${attribute(task.key)}" classname="${attribute(run.id)}" time="${seconds(durationMs)}"`;
    cases.push(verdict === 'passed' ? `${head}/>` : `${head}>\n      ${elementOf(verdict, task)}\n    </testcase>`);
  }
  const { failure, error, skipped } = counts;
  const sums = `tests="${cases.length}" failures="${failure}" errors="${error}" skipped="${skipped}" time="${seconds(totalMs)}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="ocm" ${sums}>`,
    `  <testsuite name="${attribute(run.id)}" ${sums} timestamp="${run.created_at.slice(0, 19)}">`,
    ...cases,
    '  </testsuite>',
    '</testsuites>\n',
  ].join('\n');
}

function elementOf(verdict: Exclude<Verdict, 'passed'>, task: JunitCase): string {
  const message = task.reason.slice(0, longestMessage);
  const type = verdict === 'skipped' ? '' : ` type="${attribute(task.state)}"`;
  return `<${verdict} message="${attribute(message)}"${type}/>`;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** A value of an attribute: line ends and tabs stay, what XML cannot hold at all becomes visible. */
function attribute(text: string): string {
  return (
    text
      .toWellFormed()
      .replaceAll(/[&<>"]/g, (character) => entities[character]!)
      .replaceAll(/[\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`)
      // oxlint-disable-next-line no-control-regex -- they are what XML cannot hold
      .replaceAll(/[\u0000-\u001F]/g, (character) => String.fromCharCode(0x2400 + character.charCodeAt(0)))
      .replaceAll(/[\u007F-\u009F\uFFFE\uFFFF]/g, '\uFFFD')
  );
}
