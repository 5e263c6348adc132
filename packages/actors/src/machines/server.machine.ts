import { assign, setup } from 'xstate';
import type { ServerContext, ServerInput, ServerMachineEvent } from './server.types.ts';

type EventOf<Type extends ServerMachineEvent['type']> = Extract<ServerMachineEvent, { type: Type }>;

const types = {} as { context: ServerContext; events: ServerMachineEvent; input: ServerInput };

const machineSetup = setup({
  types,
  actions: {
    // Effect: the host provides it. Alone, the machine is pure.
    startNext: () => {},
    begin: assign(({ context, event }) => present(context, event as EventOf<'server.ready'>)),
    replaceLost: assign(({ context, event }) => ({
      ...present(context, event as EventOf<'server.ready'>),
      restarts: context.restarts + 1,
    })),
    replaceRunning: assign(({ context, event }) => ({
      ...present(context, event as EventOf<'server.ready'>),
      rotations: context.rotations + 1,
      rotationReason: null,
      retiring: [...context.retiring, context.generation],
    })),
    recordMemory: assign(({ event }) => ({ rssBytes: (event as EventOf<'server.memory'>).rssBytes })),
    wantRotation: assign(({ event }) =>
      event.type === 'rotation.wanted'
        ? { rotationReason: event.reason }
        : { rotationReason: 'memory' as const, rssBytes: (event as EventOf<'server.memory'>).rssBytes },
    ),
    // The age counts anew, so that the next try waits.
    keepPresent: assign(({ event }) => {
      const { error, atMs } = event as EventOf<'rotation.failed'>;
      return { error, sinceMs: atMs, rotationReason: null };
    }),
    recordLoss: assign(({ event }) => ({ error: (event as EventOf<'server.lost'>).error, rssBytes: null, rotationReason: null })),
    forgetGeneration: assign(({ context, event }) => ({
      retiring: context.retiring.filter((generation) => generation !== (event as EventOf<'generation.retired'>).generation),
    })),
  },
  guards: {
    // One at a time: each generation needs half a gigabyte.
    isDue: ({ context: { rotationReason, retiring } }) => rotationReason !== null && retiring.length === 0,
    isTooLarge: ({ context: { memory, sinceMs }, event }) =>
      event.type === 'server.memory' && memory !== null && event.rssBytes > memory.maxBytes && event.atMs - sinceMs >= memory.minAgeMs,
  },
});

function present({ generation }: ServerContext, { atMs }: EventOf<'server.ready'>) {
  return { generation: generation + 1, sinceMs: atMs, rssBytes: null, error: null };
}

/**
 * The life of the server that a pool works on, over its generations: started again when it is lost (by the pool's budget),
 * and replaced while it runs when it has grown too large or holds a turn that cannot be ended. A replaced generation takes
 * no new work, finishes its turns, and ends. Pure: the effect `startNext` is a no-op until a host provides it.
 *
 * @example
 * const actor = createActor(serverMachine, { input: { memory: { maxBytes: 2e9, minAgeMs: 30_000 } } }).start()
 * actor.send({ type: 'server.ready', atMs: 0 })
 * actor.send({ type: 'server.memory', rssBytes: 3e9, atMs: 60_000 })
 * actor.getSnapshot().value // 'rotating'
 * @public
 */
export const serverMachine = machineSetup.createMachine({
  id: 'server',
  description: 'The server that a pool works on, over its generations.',
  context: ({ input }) => ({
    generation: 0,
    sinceMs: 0,
    restarts: 0,
    rotations: 0,
    rotationReason: null,
    retiring: [],
    memory: input.memory ?? null,
    rssBytes: null,
    error: null,
  }),
  initial: 'starting',
  on: {
    'generation.retired': { actions: 'forgetGeneration' },
    'server.stop': { target: '.stopped' },
  },
  states: {
    starting: {
      description: 'The first generation comes up.',
      on: { 'server.ready': { target: 'ready', actions: 'begin' } },
    },
    ready: {
      description: 'Takes work.',
      always: { guard: 'isDue', target: 'rotating', description: 'No other generation retires any more.' },
      on: {
        'server.memory': [
          { guard: 'isTooLarge', actions: 'wantRotation', description: 'Above its limit, and not young.' },
          { actions: 'recordMemory' },
        ],
        'rotation.wanted': { actions: 'wantRotation' },
        'server.lost': { target: 'restarting', actions: 'recordLoss' },
      },
    },
    rotating: {
      description: 'Takes work, while the next generation comes up beside it.',
      entry: 'startNext',
      on: {
        'server.ready': { target: 'ready', actions: 'replaceRunning', description: 'The present one retires.' },
        'rotation.failed': { target: 'ready', actions: 'keepPresent', description: 'The present one goes on.' },
        'server.memory': { actions: 'recordMemory' },
        'server.lost': { target: 'restarting', actions: 'recordLoss' },
      },
    },
    restarting: {
      description: 'Lost; another is started on its state when the pool allows.',
      on: {
        'server.ready': { target: 'ready', actions: 'replaceLost' },
        'server.given_up': { target: 'failed', actions: 'recordLoss' },
        'server.lost': { actions: 'recordLoss', description: 'The next one was lost too.' },
      },
    },
    stopped: { type: 'final', description: 'The pool is done with it.' },
    failed: { description: 'Lost for good.' },
  },
});
