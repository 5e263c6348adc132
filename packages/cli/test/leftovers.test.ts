import { expect, test } from 'vitest';
import { expectNoProcess, guardsOf, openBench } from './support/ocm.ts';

test.runIf(process.platform === 'linux')(
  'a run begins by cleaning up after a manager and its guard that were both killed, and says so once',
  async () => {
    await using bench = await openBench({ rules: [{ reply: 'said' }] });
    const base = ['--directory', bench.workspace.path, '--opencode-config', bench.configFile];
    await using serve = bench.start(['serve', ...base, '--json']);
    const launch = await serve.record('launch');
    for (const pid of await guardsOf(serve.pid)) process.kill(pid, 'SIGKILL');
    serve.signal('SIGKILL');
    expect(await serve.exit).toBe('SIGKILL');

    await using run = bench.start(['run', '--prompt', 'go', ...base, '--json']);
    expect(await run.exit, run.stderr).toBe(0);
    const lines = run.stderr.split('\n').filter((line) => line.includes('dead manager'));
    expect(lines).toEqual([expect.stringMatching(/Cleaned up after 1 dead manager: ended \d+ process(es)? and removed 1 directory\./)]);
    await expectNoProcess(launch['run_id']);
    await bench.expectNothingLeft();
  },
);
