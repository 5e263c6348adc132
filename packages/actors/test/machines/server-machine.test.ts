import { createActor, SimulatedClock } from 'xstate';
import { describe, expect, test } from 'vitest';
import {
  serverMachine,
  stepInspector,
  type MachineStep,
  type ServerContext,
  type ServerInput,
  type ServerMachineEvent,
} from '../../src/machines/index.ts';
import { TransitionCoverage } from '../support/coverage.ts';
import { generatedPaths, replay } from '../support/edges.ts';

const error = { name: 'OpencodeManagerError', code: 'SERVER_EXITED', message: 'gone' } as const;
const memory = { maxBytes: 1000, minAgeMs: 100 };

/** A server actor on a simulated clock that notes the effects it asks for. */
function startServer(input: ServerInput = { memory }) {
  const clock = new SimulatedClock();
  const effects: string[] = [];
  const note = (name: string) => (_: unknown, params: object) => void effects.push(`${name} ${Object.values(params)[0]}`);
  const machine = serverMachine.provide({
    actions: {
      startNext: (_, { generation }) => void effects.push(`start ${generation}`),
      relaunch: note('relaunch'),
      reopenStream: note('reopen'),
      retire: note('retire'),
      loseRetiring: note('lost retiring'),
      tellAway: note('away'),
      tellGivenUp: note('given up'),
      tellRestarted: note('restarted'),
      tellRotated: note('rotated'),
      tellRetired: note('retired'),
      tellRotationFailed: () => void effects.push('rotation failed'),
      tellMemoryHeld: (_, { rssBytes, maxBytes, untilMs }) => void effects.push(`memory held: ${rssBytes} of ${maxBytes} until ${untilMs}`),
    },
  });
  const actor = createActor(machine, { input, clock }).start();
  const send = (...events: ServerMachineEvent[]) => {
    for (const event of events) actor.send(event);
    return actor.getSnapshot();
  };
  return { send, clock, effects, snapshot: () => actor.getSnapshot() };
}

const lost = (atMs = 0, more: object = {}): ServerMachineEvent => ({ type: 'server.lost', error, atMs, jitter: 0, ...more });

describe('memory', () => {
  test('a server above its limit is replaced, and retires', () => {
    const server = startServer();
    server.send({ type: 'server.ready', atMs: 0 });
    expect(server.send({ type: 'server.memory', rssBytes: 1000, atMs: 200 }).value).toBe('ready');
    const rotating = server.send({ type: 'server.memory', rssBytes: 1001, atMs: 200 });
    expect(rotating).toMatchObject({ value: 'rotating', context: { rotationReason: 'memory', rssBytes: 1001, generation: 1 } });
    expect(server.effects).toEqual(['start 2']);
    expect(server.send({ type: 'server.ready', atMs: 300 })).toMatchObject({
      value: 'ready',
      context: { generation: 2, sinceMs: 300, rotations: 1, retiring: [1], rssBytes: null, rotationReason: null },
    });
    expect(server.send({ type: 'generation.retired', generation: 1 }).context.retiring).toEqual([]);
  });

  test('a young server is left alone, and so is one whose replacement has just failed', () => {
    const server = startServer();
    server.send({ type: 'server.ready', atMs: 0 });
    expect(server.send({ type: 'server.memory', rssBytes: 2000, atMs: 99 })).toMatchObject({ value: 'ready', context: { rssBytes: 2000 } });
    server.send({ type: 'server.memory', rssBytes: 2000, atMs: 100 }, { type: 'rotation.failed', error, atMs: 150 });
    expect(server.send({ type: 'server.memory', rssBytes: 2000, atMs: 200 })).toMatchObject({ value: 'ready', context: { error } });
    expect(server.send({ type: 'server.memory', rssBytes: 2000, atMs: 250 }).value).toBe('rotating');
  });

  test.each([
    // directories, limit
    [0, 1000],
    [4, 1160],
    [5, 1200],
    [100, 1200],
  ])('with %d directories the limit is %d', (directories, limit) => {
    const server = startServer({ memory: { ...memory, perDirectoryBytes: 40, mostBytes: 1200 } });
    server.send({ type: 'server.ready', atMs: 0 });
    expect(server.send({ type: 'server.memory', rssBytes: limit, directories, atMs: 100 }).value).toBe('ready');
    expect(server.send({ type: 'server.memory', rssBytes: limit + 1, directories, atMs: 100 }).value).toBe('rotating');
  });

  test('a replacement that frees nothing is told once, and is the only one for ten minutes', () => {
    const server = startServer();
    const tooLarge = (atMs: number): ServerMachineEvent => ({ type: 'server.memory', rssBytes: 2000, atMs });
    server.send({ type: 'server.ready', atMs: 0 }, tooLarge(100), { type: 'server.ready', atMs: 200 });
    server.send({ type: 'generation.retired', generation: 1 }, tooLarge(250));
    expect(server.effects).toEqual(['start 2', 'rotated 2', 'retired 1']);
    server.send(tooLarge(300), tooLarge(301), tooLarge(600_299));
    expect(server.snapshot()).toMatchObject({ value: 'ready', context: { memoryHeldUntilMs: 600_300, rssBytes: 2000 } });
    expect(server.effects.slice(3)).toEqual(['memory held: 2000 of 1000 until 600300']);
    // For another reason it is replaced all the same.
    expect(server.send({ type: 'rotation.wanted', reason: 'asked' }, { type: 'server.ready', atMs: 600_299 }).value).toBe('ready');
    server.send({ type: 'generation.retired', generation: 2 }, tooLarge(600_300));
    expect(server.send(tooLarge(600_399)).value).toBe('rotating');
    server.send({ type: 'server.ready', atMs: 700_000 }, { type: 'generation.retired', generation: 3 });
    expect(server.send(tooLarge(700_100))).toMatchObject({ value: 'ready', context: { memoryHeldUntilMs: 1_300_100 } });
  });

  test('a server that grows again after its replacement has helped is replaced again', () => {
    const server = startServer();
    const reads = (rssBytes: number, atMs: number): ServerMachineEvent => ({ type: 'server.memory', rssBytes, atMs });
    server.send({ type: 'server.ready', atMs: 0 }, reads(2000, 100), { type: 'server.ready', atMs: 200 });
    server.send({ type: 'generation.retired', generation: 1 });
    // Too young to say anything.
    expect(server.send(reads(500, 299)).context.replacedForMemory).toBe(true);
    expect(server.send(reads(900, 300)).context.replacedForMemory).toBe(false);
    expect(server.send(reads(1001, 301))).toMatchObject({ value: 'rotating', context: { memoryHeldUntilMs: null } });
  });

  test('without a limit nothing is too large', () => {
    const server = startServer({});
    server.send({ type: 'server.ready', atMs: 0 });
    expect(server.send({ type: 'server.memory', rssBytes: 1e12, atMs: 1e9 }).value).toBe('ready');
  });
});

test('a replacement that is wished for while another generation retires waits for its end', () => {
  const server = startServer();
  server.send({ type: 'server.ready', atMs: 0 }, { type: 'rotation.wanted', reason: 'asked' }, { type: 'server.ready', atMs: 1 });
  expect(server.send({ type: 'rotation.wanted', reason: 'quarantine' })).toMatchObject({ value: 'ready', context: { retiring: [1] } });
  expect(server.send({ type: 'generation.retired', generation: 1 })).toMatchObject({
    value: 'rotating',
    context: { rotationReason: 'quarantine' },
  });
  expect(server.effects).toEqual(['start 2', 'rotated 2', 'retired 1', 'start 3']);
});

describe('a loss', () => {
  test('brings another server after a wait that grows, within the budget', () => {
    const server = startServer({ restartLimits: { maxRestarts: 2, windowMs: 1000, backoffMs: [100, 500] } });
    server.send({ type: 'server.ready', atMs: 0 });
    expect(server.send(lost()).value).toBe('restarting');
    server.clock.increment(99);
    expect(server.effects).toEqual(['away 1']);
    server.clock.increment(1);
    expect(server.effects).toEqual(['away 1', 'relaunch 2']);
    server.send(lost(200));
    server.clock.increment(500);
    expect(server.effects.slice(2)).toEqual(['relaunch 2']);
    expect(server.send({ type: 'server.ready', generation: 2, atMs: 900 })).toMatchObject({
      value: 'ready',
      context: { generation: 2, restarts: 2, rotations: 0, retiring: [], error: null },
    });
    expect(server.effects.at(-1)).toBe('restarted 2');
    const failed = server.send(lost(900));
    expect(failed).toMatchObject({ value: 'failed', context: { restarts: 2, error: { code: 'RESTART_BUDGET_SPENT', cause: error } } });
    expect(server.effects.at(-1)).toBe('given up 2');
  });

  test.each([
    ['somebody stopped it', {}, { isExpected: true }],
    ['none may be started', { mayStart: false }, {}],
  ] as const)('is for good when %s', (_what, input, more) => {
    const server = startServer(input);
    expect(server.send({ type: 'server.ready', atMs: 0 }, lost(0, more))).toMatchObject({ value: 'failed', context: { error } });
  });

  test('while the next server comes up beside it: that one takes its place', () => {
    const server = startServer();
    server.send({ type: 'server.ready', atMs: 0 }, { type: 'rotation.wanted', reason: 'quarantine' });
    expect(server.send(lost())).toMatchObject({ value: 'succeeding', context: { error, rotationReason: null, restarts: 1 } });
    server.clock.increment(10_000);
    expect(server.effects).toEqual(['start 2', 'away 1']);
    expect(server.send({ type: 'server.ready', atMs: 1 })).toMatchObject({ value: 'ready', context: { generation: 2, retiring: [] } });
  });

  test('while the next server comes up and fails: another one is started', () => {
    const server = startServer();
    server.send({ type: 'server.ready', atMs: 0 }, { type: 'rotation.wanted', reason: 'asked' }, lost());
    expect(server.send({ type: 'rotation.failed', error, atMs: 1 }).value).toBe('restarting');
    server.clock.increment(1000);
    expect(server.effects.at(-1)).toBe('relaunch 2');
  });

  test('is given up when the pool stops meanwhile', () => {
    const server = startServer();
    server.send({ type: 'server.ready', atMs: 0 }, lost());
    expect(server.send({ type: 'restarts.forbidden' }).value).toBe('failed');
    server.clock.increment(10_000);
    expect(server.effects).toEqual(['away 1', 'given up 1']);
  });

  test('of one that retires leaves the present one alone; a late notice of one that is gone changes nothing', () => {
    const server = startServer();
    server.send({ type: 'server.ready', atMs: 0 }, { type: 'rotation.wanted', reason: 'asked' }, { type: 'server.ready', atMs: 1 });
    expect(server.send(lost(1, { generation: 1 })).value).toBe('ready');
    expect(server.effects).toEqual(['start 2', 'rotated 2', 'lost retiring 1']);
    server.send({ type: 'generation.unused', generation: 1 });
    server.clock.increment(1000);
    server.send({ type: 'generation.retired', generation: 1 });
    expect(server.send(lost(2, { generation: 1 }))).toMatchObject({ value: 'ready', context: { retiring: [] } });
    expect(server.effects.slice(3)).toEqual(['retired 1']);
  });
});

test('one that retires ends a moment after its last turn', () => {
  const server = startServer();
  server.send({ type: 'server.ready', atMs: 0 }, { type: 'rotation.wanted', reason: 'asked' }, { type: 'server.ready', atMs: 1 });
  server.send({ type: 'generation.unused', generation: 1 }, { type: 'generation.unused', generation: 2 });
  server.clock.increment(499);
  expect(server.effects).not.toContain('retire 1');
  server.clock.increment(1);
  expect(server.effects.at(-1)).toBe('retire 1');
});

test('a turn that nothing ends replaces its server, unless that one retires already', () => {
  const server = startServer();
  server.send({ type: 'server.ready', atMs: 0 });
  expect(server.send({ type: 'turn.quarantined', generation: 1 }).value).toBe('rotating');
  server.send({ type: 'server.ready', atMs: 1 });
  expect(server.send({ type: 'turn.quarantined', generation: 1 })).toMatchObject({ value: 'ready', context: { rotationReason: null } });
});

describe('silence', () => {
  const unanswered = (startedAtMs: number, lastRecordAtMs: number | null = null): ServerMachineEvent => ({
    type: 'probe.unanswered',
    generation: 1,
    startedAtMs,
    lastRecordAtMs,
    output: 'tail',
    atMs: startedAtMs + 50,
  });

  test('of so many probes in a row makes a server lost', () => {
    const server = startServer();
    server.send({ type: 'server.ready', atMs: 0 }, unanswered(100), unanswered(200));
    expect(server.snapshot().value).toBe('ready');
    expect(server.send(unanswered(300))).toMatchObject({
      value: 'restarting',
      context: { error: { code: 'SERVER_UNRESPONSIVE', output: 'tail', details: { silentMs: 250 } } },
    });
  });

  test('counts anew after an answer, and after a byte on the event stream', () => {
    const server = startServer();
    server.send({ type: 'server.ready', atMs: 0 }, unanswered(100), unanswered(200), { type: 'probe.answered', generation: 1 });
    server.send(unanswered(300), unanswered(400), unanswered(500, 450), unanswered(600, 450));
    expect(server.snapshot().value).toBe('ready');
    expect(server.send(unanswered(700, 450)).value).toBe('restarting');
  });
});

test('time without a server spends nothing of the window, so that slow starts end too', () => {
  const limits = { maxRestarts: 2, windowMs: 1000, backoffMs: [0] };
  const diesWhenReady = startServer({ restartLimits: limits });
  diesWhenReady.send({ type: 'server.ready', atMs: 0 }, lost(0), { type: 'server.ready', atMs: 900 }, lost(900));
  diesWhenReady.send({ type: 'server.ready', atMs: 1800 });
  expect(diesWhenReady.send(lost(1800)).value).toBe('failed');

  const diesBefore = startServer({ restartLimits: limits });
  diesBefore.send({ type: 'server.ready', atMs: 0 }, lost(0), lost(900));
  expect(diesBefore.send(lost(1800)).value).toBe('failed');

  const lives = startServer({ restartLimits: limits });
  lives.send({ type: 'server.ready', atMs: 0 }, lost(0), { type: 'server.ready', atMs: 900 }, lost(1000));
  lives.send({ type: 'server.ready', atMs: 1900 });
  expect(lives.send(lost(2801)).value).toBe('restarting');
});

test('a failed event stream is opened anew within the restart limits; then its server is lost', () => {
  const server = startServer();
  const failed = (atMs: number): ServerMachineEvent => ({ type: 'stream.failed', generation: 1, error, atMs });
  server.send({ type: 'server.ready', atMs: 0 }, failed(1), failed(2), failed(3));
  expect(server.effects).toEqual(['reopen 1', 'reopen 1', 'reopen 1']);
  expect(server.send(failed(4)).value).toBe('restarting');
});

test('a generated path takes every transition', () => {
  const probe = { type: 'probe.unanswered', startedAtMs: 0, lastRecordAtMs: null, output: '', atMs: 0 } as const;
  const alphabet: ServerMachineEvent[] = [
    { type: 'server.ready', atMs: 0 },
    lost(),
    lost(0, { generation: 1 }),
    { type: 'server.memory', rssBytes: 1, atMs: 500 },
    { type: 'server.memory', rssBytes: 2000, atMs: 500 },
    { type: 'probe.answered', generation: 1 },
    { ...probe, generation: 1 },
    { type: 'stream.failed', error, atMs: 0, generation: 1 },
    { type: 'turn.quarantined' },
    { type: 'rotation.wanted', reason: 'asked' },
    { type: 'rotation.failed', error, atMs: 0 },
    { type: 'generation.unused', generation: 1 },
    { type: 'generation.due', generation: 1 },
    { type: 'generation.retired', generation: 1 },
    { type: 'restarts.forbidden' },
    { type: 'server.stop' },
    { type: 'xstate.after.restartDelay.server.restarting' } as unknown as ServerMachineEvent,
  ];
  const coverage = new TransitionCoverage(serverMachine);
  const input = { memory, restartLimits: { maxRestarts: 2 }, maxStrikes: 2 };
  const kindOf = ({ value, context }: { readonly value: unknown; readonly context: ServerContext }) => {
    const { rotationReason, retiring, restarts, mayStart, watched, replacedForMemory } = context;
    const first = watched[0];
    const noted = first && [first.generation, first.strikes, first.streamRestarts.length, first.ending];
    return JSON.stringify([value, rotationReason, replacedForMemory, retiring, Math.min(restarts, 2), mayStart, noted]);
  };
  const paths = generatedPaths(serverMachine, {
    input,
    events: () => alphabet,
    kindOf,
    everyEdge: true,
    stopWhen: (state: { readonly value: unknown; readonly context: ServerContext }) =>
      state.value === 'stopped' || state.context.generation > 2 || state.context.restarts > 2,
  });
  for (const path of paths) replay(serverMachine, input, path, coverage.inspect);
  console.info(`server machine: ${coverage.taken} of ${coverage.total} transitions taken by ${paths.length} generated paths`);
  expect(coverage.missing()).toEqual([]);
});

test('each step is told with its transitions, ignored events included', () => {
  const steps: MachineStep[] = [];
  const inspect = stepInspector({ machine: serverMachine, actor: 'server', now: () => 7, onStep: (step) => steps.push(step) });
  const actor = createActor(serverMachine, { input: { memory }, inspect }).start();
  actor.send({ type: 'server.ready', atMs: 0 });
  actor.send({ type: 'rotation.failed', error, atMs: 1 });
  actor.send({ type: 'server.memory', rssBytes: 2000, atMs: 500 });
  expect(steps.map(({ event, from, path, transitions }) => [event.type, from, path, transitions])).toEqual([
    ['xstate.init', null, 'starting', []],
    ['server.ready', 'starting', 'ready', ['server.starting|server.ready|0']],
    ['rotation.failed', 'ready', 'ready', []],
    ['server.memory', 'ready', 'rotating', ['server|server.memory|1', 'server.ready||0']],
  ]);
  expect(steps.at(-1)).toMatchObject({ machine: 'server', actor: 'server', atMs: 7, context: { rssBytes: 2000 } });
  expect(steps.at(-1)?.context).toBe(actor.getSnapshot().context);
});
