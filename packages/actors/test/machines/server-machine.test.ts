import { createActor } from 'xstate';
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

function startServer(input: ServerInput = { memory }) {
  let starts = 0;
  const machine = serverMachine.provide({ actions: { startNext: () => void (starts += 1) } });
  const actor = createActor(machine, { input }).start();
  const send = (...events: ServerMachineEvent[]) => {
    for (const event of events) actor.send(event);
    return actor.getSnapshot();
  };
  return {
    send,
    get starts() {
      return starts;
    },
  };
}

describe('memory', () => {
  test('a server above its limit is replaced, and retires', () => {
    const server = startServer();
    server.send({ type: 'server.ready', atMs: 0 });
    expect(server.send({ type: 'server.memory', rssBytes: 1000, atMs: 200 }).value).toBe('ready');
    const rotating = server.send({ type: 'server.memory', rssBytes: 1001, atMs: 200 });
    expect(rotating).toMatchObject({ value: 'rotating', context: { rotationReason: 'memory', rssBytes: 1001, generation: 1 } });
    expect(server.starts).toBe(1);
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
  expect(server.starts).toBe(2);
});

test('a server that is lost while the next one comes up is restarted, not retired', () => {
  const server = startServer();
  server.send({ type: 'server.ready', atMs: 0 }, { type: 'rotation.wanted', reason: 'quarantine' });
  expect(server.send({ type: 'server.lost', error })).toMatchObject({ value: 'restarting', context: { error, rotationReason: null } });
  expect(server.send({ type: 'server.ready', atMs: 1 })).toMatchObject({
    value: 'ready',
    context: { generation: 2, restarts: 1, rotations: 0, retiring: [], error: null },
  });
});

test('a generated path takes every transition', () => {
  const alphabet: ServerMachineEvent[] = [
    { type: 'server.ready', atMs: 0 },
    { type: 'server.lost', error },
    { type: 'server.given_up', error },
    { type: 'server.memory', rssBytes: 1, atMs: 500 },
    { type: 'server.memory', rssBytes: 2000, atMs: 500 },
    { type: 'rotation.wanted', reason: 'asked' },
    { type: 'rotation.failed', error, atMs: 0 },
    { type: 'generation.retired', generation: 1 },
    { type: 'server.stop' },
  ];
  const coverage = new TransitionCoverage(serverMachine);
  const input = { memory };
  const kindOf = ({ value, context }: { readonly value: unknown; readonly context: ServerContext }) =>
    `${String(value)} ${context.rotationReason} ${context.retiring.length}`;
  const paths = generatedPaths(serverMachine, {
    input,
    events: () => alphabet,
    kindOf,
    everyEdge: true,
    stopWhen: (state: { readonly context: ServerContext }) => state.context.generation > 3,
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
    ['server.memory', 'ready', 'rotating', ['server.ready|server.memory|0', 'server.ready||0']],
  ]);
  expect(steps.at(-1)).toMatchObject({ machine: 'server', actor: 'server', atMs: 7, context: { rssBytes: 2000 } });
  expect(steps.at(-1)?.context).toBe(actor.getSnapshot().context);
});
