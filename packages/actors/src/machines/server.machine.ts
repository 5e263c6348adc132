import type { SerializedError } from '@opencode-manager/core';
import { assign, setup } from 'xstate';
import { defaultRestartLimits } from './pool.machine.ts';
import { holdForMemory, isTooLarge, mostBytesOf, recordMemory } from './server-memory.ts';
import type { RotationReason, ServerContext, ServerInput, ServerMachineEvent } from './server.types.ts';
import {
  clearStrikes,
  forgetGeneration,
  giveServerUp,
  isSilent,
  markEnding,
  mayReopen,
  mayRestartServer,
  noteReopening,
  planServerRestart,
  present,
  silence,
  strike,
  watchedOf,
  type ServerEventOf,
} from './server-watch.ts';

/** Between the end of the last turn of a server that retires and its own, in milliseconds: what a turn sends behind its end arrives. */
const lingerMs = 500;

const types = {} as { context: ServerContext; events: ServerMachineEvent; input: ServerInput };

/** What an event changes, for `assign`. */
function changing<Type extends ServerMachineEvent['type']>(change: (context: ServerContext, event: ServerEventOf<Type>) => ServerContext) {
  return ({ context, event }: { readonly context: ServerContext; readonly event: ServerMachineEvent }): ServerContext =>
    change(context, event as ServerEventOf<Type>);
}

type Failure = ServerEventOf<'server.lost'> | ServerEventOf<'rotation.failed'>;

const machineSetup = setup({
  types,
  actions: {
    // Effects: the host provides them. Alone, the machine is pure.
    startNext: (_args, _params: { readonly reason: RotationReason; readonly generation: number; readonly rssBytes: number | null }) => {},
    relaunch: (_args, _params: { readonly generation: number }) => {},
    reopenStream: (_args, _params: { readonly generation: number }) => {},
    retire: (_args, _params: { readonly generation: number }) => {},
    // A server is gone: its sessions are told when what is left of it has ended.
    loseRetiring: (_args, _params: { readonly generation: number; readonly error: SerializedError }) => {},
    tellAway: (_args, _params: { readonly generation: number; readonly error: SerializedError }) => {},
    tellGivenUp: (_args, _params: { readonly generation: number; readonly error: SerializedError }) => {},
    tellRestarted: (_args, _params: { readonly generation: number; readonly restarts: number }) => {},
    tellRotated: (_args, _params: { readonly generation: number }) => {},
    tellRetired: (_args, _params: { readonly generation: number }) => {},
    tellRotationFailed: (_args, _params: { readonly error: SerializedError }) => {},
    tellMemoryHeld: (_args, _params: { readonly rssBytes: number; readonly maxBytes: number; readonly untilMs: number }) => {},
    // Changes.
    begin: assign(changing<'server.ready'>((context, event) => present(context, event, false))),
    replaceLost: assign(changing<'server.ready'>((context, event) => present(context, event, true))),
    recordMemory: assign(changing<'server.memory'>(recordMemory)),
    holdForMemory: assign(changing<'server.memory'>(holdForMemory)),
    wantRotation: assign(({ event }) => ({ rotationReason: event.type === 'rotation.wanted' ? event.reason : 'quarantine' })),
    // The age counts anew, so that the next try waits.
    keepPresent: assign(
      changing<'rotation.failed'>((context, { error, atMs }) => ({ ...context, error, sinceMs: atMs, rotationReason: null })),
    ),
    planRestart: assign(changing<Failure['type']>((context, { error, atMs, jitter }) => planServerRestart(context, error, atMs, jitter))),
    giveUp: assign(
      changing<Failure['type']>((context, event) =>
        giveServerUp(context, event.error, event.type === 'server.lost' && event.isExpected === true),
      ),
    ),
    giveUpWaiting: assign(({ context }) => ({ ...context, mayStart: false })),
    clearStrikes: assign(changing<'probe.answered'>(clearStrikes)),
    strike: assign(changing<'probe.unanswered'>(strike)),
    noteReopening: assign(changing<'stream.failed'>(noteReopening)),
    markEnding: assign(
      changing<'generation.due' | 'server.lost'>((context, { generation }) => markEnding(context, generation ?? context.generation)),
    ),
    forgetGeneration: assign(changing<'generation.retired'>((context, { generation }) => forgetGeneration(context, generation))),
  },
  guards: {
    // One at a time: each generation needs half a gigabyte.
    isDue: ({ context: { rotationReason, retiring, mayStart } }) => mayStart && rotationReason !== null && retiring.length === 0,
    freedNothing: ({ context, event }) =>
      event.type === 'server.memory' && isOfPresent(context, event) && context.replacedForMemory && isTooLarge(context, event),
    isPresent: ({ context, event }) => isOfPresent(context, event),
    isRetiring: ({ context: { retiring }, event }) => 'generation' in event && retiring.includes(event.generation ?? 0),
    isUnended: ({ context, event }) =>
      'generation' in event && context.retiring.includes(event.generation ?? 0) && watchedOf(context, event.generation)?.ending === false,
    mayRestart: ({ context, event }) =>
      isOfPresent(context, event) &&
      !(event as ServerEventOf<'server.lost'>).isExpected &&
      mayRestartServer(context, (event as Failure).atMs),
    isSilent: ({ context, event }) => event.type === 'probe.unanswered' && isSilent(context, event),
    mayReopen: ({ context, event }) => event.type === 'stream.failed' && mayReopen(context, event),
    isWatched: ({ context, event }) => 'generation' in event && watchedOf(context, event.generation)?.ending === false,
  },
  delays: { restartDelay: ({ context }) => context.restartDelayMs },
});

function isOfPresent(context: ServerContext, event: ServerMachineEvent): boolean {
  return generationOf({ context, event }).generation === context.generation;
}

/** The server that an event is about. */
const generationOf = ({ context, event }: { readonly context: ServerContext; readonly event: ServerMachineEvent }) => ({
  generation: ('generation' in event ? event.generation : undefined) ?? context.generation,
});
const errorOf = (context: ServerContext): SerializedError => context.error!;
const lostOf = (event: ServerMachineEvent) => (event as ServerEventOf<'server.lost'>).error;

const tellAway = {
  type: 'tellAway',
  params: ({ context, event }: { context: ServerContext; event: ServerMachineEvent }) => ({
    generation: context.generation,
    error: lostOf(event),
  }),
} as const;
const tellGivenUp = {
  type: 'tellGivenUp',
  params: ({ context }: { context: ServerContext }) => ({ generation: context.generation, error: errorOf(context) }),
} as const;

const tellMemoryHeld = {
  type: 'tellMemoryHeld',
  params: ({ context: { memory, memoryHeldUntilMs }, event }: { context: ServerContext; event: ServerMachineEvent }) => {
    const { rssBytes, directories } = event as ServerEventOf<'server.memory'>;
    return { rssBytes, maxBytes: mostBytesOf(memory!, directories), untilMs: memoryHeldUntilMs! };
  },
} as const;

const raiseLostAction = machineSetup.enqueueActions(({ context, event, enqueue }) => {
  if (event.type !== 'probe.unanswered' && event.type !== 'stream.failed') return;
  const error = event.type === 'stream.failed' ? event.error : silence(context, event);
  const { generation = context.generation, atMs, jitter = 0 } = event;
  enqueue.raise({ type: 'server.lost', error, atMs, jitter, generation });
});

const lingerAction = machineSetup.enqueueActions(({ event, enqueue }) => {
  const { generation } = event as ServerEventOf<'generation.unused'>;
  enqueue.cancel(`due ${generation}`);
  enqueue.raise({ type: 'generation.due', generation }, { id: `due ${generation}`, delay: lingerMs });
});

const serverSetup = machineSetup.extend({ actions: { raiseLost: raiseLostAction, linger: lingerAction } });

const retiringLost = {
  guard: 'isUnended',
  actions: [
    'markEnding',
    {
      type: 'loseRetiring',
      params: ({ context, event }: { context: ServerContext; event: ServerMachineEvent }) => ({
        generation: (event as ServerEventOf<'server.lost'>).generation ?? context.generation,
        error: lostOf(event),
      }),
    },
  ],
  description: 'One that retires: its turns go on with the present one when it has ended.',
} as const;

/** What is true of every server that has turns, whatever the present one does. */
const watching = {
  'probe.answered': { actions: 'clearStrikes' },
  'probe.unanswered': [
    { guard: 'isSilent', actions: ['strike', 'raiseLost'], description: 'It runs and answers nothing.' },
    { actions: 'strike' },
  ],
  'stream.failed': [
    {
      guard: 'mayReopen',
      actions: ['noteReopening', { type: 'reopenStream', params: generationOf }],
      description: 'Another event stream of the same server.',
    },
    { guard: 'isWatched', actions: 'raiseLost', description: 'Its events cannot be followed any more.' },
  ],
  'server.lost': retiringLost,
  'generation.unused': { guard: 'isUnended', actions: 'linger', description: 'It retires, and its turns are over.' },
  'generation.due': {
    guard: 'isUnended',
    actions: ['markEnding', { type: 'retire', params: generationOf }],
  },
  'generation.retired': { guard: 'isRetiring', actions: ['forgetGeneration', { type: 'tellRetired', params: generationOf }] },
  'server.memory': [
    {
      guard: 'freedNothing',
      actions: ['holdForMemory', tellMemoryHeld],
      description: 'Above its limit as the one was whose place it took: another one would be, too. None for ten minutes.',
    },
    { guard: 'isPresent', actions: 'recordMemory', description: 'It is replaced above its limit, when it is not young.' },
  ],
  'rotation.wanted': { actions: 'wantRotation' },
  'turn.quarantined': {
    guard: 'isPresent',
    actions: 'wantRotation',
    description: 'What the turn goes on with ends with its server alone.',
  },
  'restarts.forbidden': { actions: 'giveUpWaiting' },
  'server.stop': { target: '.stopped' },
} as const;

const givenUp = { target: 'failed', actions: ['giveUp', tellGivenUp] } as const;

/** A lost server is started again within the budget; else nothing is left to work on. */
const losses = [
  {
    guard: 'mayRestart',
    target: 'restarting',
    actions: ['planRestart', tellAway],
    description: 'Another one on the same state, after a wait.',
  },
  { guard: 'isPresent', ...givenUp },
] as const;

/**
 * The life of the server that a pool works on, over its generations: started again when it is lost, within the restart limits,
 * and replaced while it runs when it has grown too large or holds a turn that cannot be ended. A replaced generation takes
 * no new work, finishes its turns, and ends. It is lost when its process ends, when it answers no probe, or when its events cannot
 * be followed any more. Pure: effects are no-ops until a host provides them; each gets what it needs as parameters.
 *
 * @example
 * const actor = createActor(serverMachine, { input: { memory: { maxBytes: 2e9, minAgeMs: 30_000 } } }).start()
 * actor.send({ type: 'server.ready', atMs: 0 })
 * actor.send({ type: 'server.memory', rssBytes: 3e9, atMs: 60_000 })
 * actor.getSnapshot().value // 'rotating'
 * @public
 */
export const serverMachine = serverSetup.createMachine({
  id: 'server',
  description: 'The server that a pool works on, over its generations.',
  context: ({ input }) => ({
    generation: 0,
    sinceMs: 0,
    restartLimits: { ...defaultRestartLimits, ...input.restartLimits },
    mayStart: input.mayStart ?? true,
    restarts: 0,
    restartTimes: [],
    restartDelayMs: 0,
    rotations: 0,
    rotationReason: null,
    retiring: [],
    watched: [],
    memory: input.memory ?? null,
    rssBytes: null,
    replacedForMemory: false,
    memoryHeldUntilMs: null,
    maxStrikes: input.maxStrikes ?? 3,
    error: null,
  }),
  initial: 'starting',
  on: watching,
  states: {
    starting: {
      description: 'The first generation comes up.',
      on: { 'server.ready': { target: 'ready', actions: 'begin' }, 'server.lost': givenUp },
    },
    ready: {
      description: 'Takes work.',
      always: { guard: 'isDue', target: 'rotating', description: 'No other generation retires any more.' },
      on: {
        'server.lost': losses,
      },
    },
    rotating: {
      description: 'Takes work, while the next generation comes up beside it.',
      entry: {
        type: 'startNext',
        params: ({ context: { rotationReason, generation, rssBytes } }) => ({
          reason: rotationReason ?? 'asked',
          generation: generation + 1,
          rssBytes,
        }),
      },
      on: {
        'server.ready': {
          target: 'ready',
          actions: ['begin', { type: 'tellRotated', params: ({ context: { generation } }) => ({ generation }) }],
          description: 'The present one retires.',
        },
        'rotation.failed': {
          target: 'ready',
          actions: ['keepPresent', { type: 'tellRotationFailed', params: ({ event }) => ({ error: event.error }) }],
          description: 'The present one goes on.',
        },
        'server.lost': [
          {
            guard: 'mayRestart',
            target: 'succeeding',
            actions: ['planRestart', tellAway],
            description: 'The one that comes up takes its place.',
          },
          { guard: 'isPresent', ...givenUp },
        ],
      },
    },
    succeeding: {
      description: 'Lost while the next generation came up beside it: that one takes its place.',
      on: {
        'server.ready': {
          target: 'ready',
          actions: [
            'replaceLost',
            { type: 'tellRestarted', params: ({ context: { generation, restarts } }) => ({ generation, restarts }) },
          ],
        },
        'rotation.failed': [{ guard: 'mayRestart', target: 'restarting', actions: 'planRestart' }, givenUp],
        'restarts.forbidden': { target: 'failed', actions: ['giveUpWaiting', tellGivenUp] },
      },
    },
    restarting: {
      description: 'Lost; another is started on its state after a wait.',
      on: {
        'server.ready': {
          target: 'ready',
          actions: [
            'replaceLost',
            { type: 'tellRestarted', params: ({ context: { generation, restarts } }) => ({ generation, restarts }) },
          ],
        },
        'server.lost': [
          { guard: 'mayRestart', target: 'restarting', reenter: true, actions: 'planRestart', description: 'The next one was lost too.' },
          { guard: 'isPresent', ...givenUp },
        ],
        'restarts.forbidden': { target: 'failed', actions: ['giveUpWaiting', tellGivenUp] },
      },
      after: {
        restartDelay: { actions: { type: 'relaunch', params: ({ context: { generation } }) => ({ generation: generation + 1 }) } },
      },
    },
    stopped: { type: 'final', description: 'The pool is done with it.' },
    failed: { description: 'Lost for good.' },
  },
});
