// What one session costs: creating and starting it, its memory at rest, and its end.
//
//   pnpm bench session-actor
//
// Ours is the whole host of a session in the pool: its actor, its observers, its place in the registry. The peer is the
// smallest root actor that XState can start: two states, one event, an observer.
import { liveHeapBytes, runCase, type Metrics, type Settings } from '@opencode-manager/bench';
import { createActor, createMachine } from 'xstate';
import { sessionMachine } from '../src/machines/index.ts';
import { systemClock, type ServerPort, type SessionPort } from '../src/ports/index.ts';
import { SessionHost } from '../src/session/session-host.ts';
import { SessionRegistry } from '../src/session/session-registry.ts';

/** Sessions of the first lap, which only makes the code hot. */
const warmUp = 2000;

/** A lap of few sessions is over in a millisecond: it is run until so many were made. */
const sessionsInAll = 20_000;

await runCase({
  'session host': (settings) => measure(sessionHosts(), settings),
  'session machine': (settings) => measure(sessionActors(), settings),
  'bare root actor': (settings) => measure(bareActors(), settings),
});

interface Maker<Made> {
  readonly create: (index: number) => Made;
  readonly stop: (made: Made) => void;
}

function sessionHosts(): Maker<SessionHost> {
  const registry = new SessionRegistry(
    () => undefined,
    () => 0,
  );
  // Nothing is asked of the server: a session at rest makes no request.
  const server = {} as ServerPort;
  const limits = {};
  const onNothing = () => undefined;
  return {
    create(index) {
      const operations = { id: `ses_${index}`, directory: '/srv/repository' } as SessionPort;
      const host = new SessionHost({
        server,
        operations,
        machine: sessionMachine,
        inspection: () => ({}),
        limits,
        streamLive: true,
        clock: systemClock,
        onChange: onNothing,
        onRetry: onNothing,
        onChild: onNothing,
        onRest: onNothing,
        onSpent: onNothing,
        prices: {},
      });
      registry.add(host);
      return host;
    },
    stop: (host) => registry.remove(host),
  };
}

function sessionActors(): Maker<{ stop(): unknown }> {
  return {
    create: (index) =>
      createActor(sessionMachine, {
        input: { sessionId: `ses_${index}`, directory: '/srv/repository', limits: {}, streamLive: true },
      }).start(),
    stop: (actor) => void actor.stop(),
  };
}

function bareActors(): Maker<{ stop(): unknown }> {
  const machine = createMachine({ initial: 'idle', states: { idle: { on: { go: 'active' } }, active: { on: { rest: 'idle' } } } });
  return {
    create() {
      const actor = createActor(machine);
      actor.subscribe({ error: () => undefined });
      return actor.start();
    },
    stop: (actor) => void actor.stop(),
  };
}

async function measure<Made>({ create, stop }: Maker<Made>, { sessions = 1000 }: Settings): Promise<Metrics> {
  const make = () => Array.from({ length: sessions }, (_, index) => create(index));
  for (const made of Array.from({ length: warmUp }, (_, index) => create(index))) stop(made);
  const heapBefore = await liveHeapBytes();
  const kept = make();
  const heap = (await liveHeapBytes()) - heapBefore;
  for (const made of kept) stop(made);
  const laps = Math.ceil(sessionsInAll / sessions);
  let createMs = 0;
  let stopMs = 0;
  for (let lap = 0; lap < laps; lap += 1) {
    const startedAtMs = performance.now();
    const all = make();
    const madeAtMs = performance.now();
    for (const made of all) stop(made);
    createMs += madeAtMs - startedAtMs;
    stopMs += performance.now() - madeAtMs;
  }
  const each = 1000 / (laps * sessions);
  return { createUs: createMs * each, heapKb: heap / sessions / 1024, stopUs: stopMs * each };
}
