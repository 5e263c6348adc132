import { findMarkedProcesses } from '@opencode-manager/core';
import { opencodeUnderTest } from '@opencode-manager/testing';
import { expect, test } from 'vitest';
import { expectNoProcess, killWithGuard, openBench, type Bench } from './support/ocm.ts';
import { openSynthetic, syntheticAnswer } from './support/synthetic.ts';

const { by } = opencodeUnderTest();

/** A tool that leads a session of its own and hears no TERM: neither the server's end nor a group kill reaches it. */
const stubborn = { name: 'bash', arguments: { command: `setsid bash -c 'trap "" TERM; sleep 300' & sleep 300`, description: 'Sleep' } };
const rules = [
  { name: 'tool', when: { user: 'tool' }, reply: [{ toolCalls: [stubborn] }, 'never'] },
  { name: 'slow', when: { user: 'slow' }, reply: { text: 'word '.repeat(2000), tokensPerSecond: 5 } },
];

/** Turns in flight: four of them in tools, the others in answers. */
async function startTurns(bench: Bench, base: readonly string[], count: number) {
  const prompts = Array.from({ length: count }, (_, index) => `${index < 4 ? 'tool' : 'slow'} ${index}`);
  const run = bench.start(['run', '--prompt', ...prompts, '--concurrency', String(count), ...base, '--json', '--permissions', 'allow']);
  const launch = await run.record('launch');
  await bench.model.waitForCalls(count - 4, { rule: 'slow', timeoutMs: 60_000 });
  const runId = launch['run_id'] as string;
  // Four shells with two processes each below them, and the server.
  await expect.poll(async () => (await findMarkedProcesses(runId)).length, { timeout: 30_000 }).toBeGreaterThanOrEqual(1 + 4 * 3);
  return { run, runId };
}

test.runIf(process.platform === 'linux')('a manager that is killed with its guard', { timeout: 200_000 }, async () => {
  await using bench = await openBench({ rules });
  const base = ['--directory', bench.workspace.path, '--opencode-config', bench.configFile];

  // With its guard killed too, all of it lives on until the next command begins; of opencode 2, which ends with its standard input, what heeds no signal.
  const killed = await startTurns(bench, base, 6);
  await using _run = killed.run;
  await killWithGuard(killed.run);
  expect(await killed.run.exit).toBe('SIGKILL');
  const alive = async () => (await findMarkedProcesses(killed.runId)).length;
  await by({
    v1: async () => expect(await alive()).toBeGreaterThanOrEqual(1 + 4 * 3),
    v2: () => expect.poll(alive, { timeout: 10_000 }).toBe(4),
  })();

  await using synthetic = await openSynthetic(bench);
  await using next = bench.start(['run', '--prompt', 'quick', ...base, ...synthetic.args]);
  expect(await next.exit, next.stderr).toBe(0);
  expect(next.stdout).toBe(`${syntheticAnswer}\n`);
  const told = next.stderr.split('\n').filter((line) => line.includes('dead manager'));
  const ended = by({ v1: '(1[3-9]|[2-9]\\d)', v2: '4' });
  const cleaned = new RegExp(`Cleaned up after 1 dead manager: ended ${ended} processes and removed 1 directory\\.`);
  expect(told).toEqual([expect.stringMatching(cleaned)]);
  await expectNoProcess(killed.runId);
  await bench.expectNothingLeft();
});
