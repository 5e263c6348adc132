import { expect, it } from 'vitest';
import { answer, calmLink, plainTurn, type RunPlan } from '../../src/index.ts';
import { runRunInNode } from '../../src/node/index.ts';

/** One task, whose manager is killed as soon as its prompt is sent. */
const killed: RunPlan = {
  version: 1,
  seed: 1,
  protocol: 'v1',
  profile: 'by hand',
  concurrency: 1,
  pool: { maxSessions: 1, permissions: 'allow' },
  link: calmLink,
  scripts: [plainTurn()],
  tasks: [{ key: 't1', after: [], retries: 0, provider: 'alpha', scripts: [0] }],
  faults: [],
  disk: { syncMs: [1, 1], full: [] },
  kills: [{ how: 'kill', append: 2, stage: 'acknowledged' }],
  wishes: [],
};

it.each([
  ['dies while the session is read', { what: 'kill', when: { point: 'launched', nth: 2, afterMs: 130 } }],
  ['answers the read too late', { what: 'slow', when: { point: 'launched', nth: 2, afterMs: 120 }, delayMs: 16_000, forMs: 500 }],
] as const)('a server that %s ends no task', async (_, fault) => {
  const { violations, outcomes, managers } = await runRunInNode({ ...killed, faults: [fault] });
  expect([violations, Object.fromEntries(outcomes), managers]).toEqual([[], { t1: 'succeeded' }, 2]);
});

it('a server that does not come back ends the run, which goes on when one does', async () => {
  const when = { point: 'accepted', nth: 1, afterMs: 5 } as const;
  const faults = [{ what: 'startFails', when, times: 40 } as const, { what: 'kill', when } as const];
  const { violations, outcomes, history } = await runRunInNode({ ...killed, kills: [], faults });
  expect([violations, Object.fromEntries(outcomes)]).toEqual([[], { t1: 'succeeded' }]);
  expect(history.join('\n')).toContain('run.ended restarts_spent');
});

it('does not take a failure of opencode 2 that was to be repeated for the end of a task whose server died', async () => {
  const refusal = { statusCode: 500, message: 'busy', times: 1, afterMs: 0, brokenText: 'half a sen' };
  const { outcomes, violations, managers } = await runRunInNode({
    ...killed,
    protocol: 'v2',
    scripts: [plainTurn({ steps: [answer('done', { refusal })] })],
    kills: [{ how: 'power', when: { point: 'step', nth: 1, afterMs: 500 } }],
  });
  expect(violations).toEqual([]);
  expect(managers).toBe(2);
  expect([...outcomes]).toEqual([['t1', 'succeeded']]);
});
