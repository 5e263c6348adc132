import { queryObjects } from 'node:v8';
import { syntheticBinary } from '@opencode-manager/bench';
import { launchServer } from '@opencode-manager/core';
import { expect, test } from 'vitest';
import { createActor, createMachine } from 'xstate';
import { AskDesk } from '../../src/policy/ask-desk.ts';
import { createSessionPool, type SessionPool } from '../../src/index.ts';
import { SessionHost } from '../../src/session/session-host.ts';
import { TurnObserver } from '../../src/session/turn-observer.ts';

/** Turns at once; a pool keeps twice as many sessions at rest, at most. */
const slots = 20;
const resting = 2 * slots;

/** XState exports the type alone. */
const Actor = createActor(createMachine({})).constructor as new () => object;

/** What a task could leave behind: of ours, and of others. */
const ours = { SessionHost, TurnObserver, AskDesk };
const all = { ...ours, Actor, AbortController, Map, Set, Promise };

/** Live objects after a full collection. */
function liveObjects(classes: Partial<typeof all> = all): Record<string, number> {
  return Object.fromEntries(Object.entries(classes).map(([name, constructor]) => [name, Number(queryObjects(constructor))]));
}

async function finish(pool: SessionPool, count: number): Promise<void> {
  for await (const { outcome } of pool.runAll(Array.from({ length: count }, () => ({ prompt: 'say done' }))))
    expect(outcome).toBe('succeeded');
}

test('finished tasks leave no object behind, whatever their number', async () => {
  // What other tests of this process hold still.
  const before = liveObjects(ours);
  await using binary = await syntheticBinary();
  await using server = await launchServer({
    binary: binary.path,
    env: binary.env({ deltasPerAnswer: 2 }),
    opencodeConfig: { model: 'synthetic/instant' },
  });
  await using pool = await createSessionPool({ server, maxSessions: slots });
  await finish(pool, 2 * resting);
  const afterFew = liveObjects();
  await finish(pool, 400);
  // The answer to a prompt may come after its turn's end, and holds the turn until then. Each look is a full collection.
  await expect.poll(() => Number(queryObjects(TurnObserver)), { timeout: 20_000, interval: 250 }).toBe(before['TurnObserver']);
  const afterMany = liveObjects();
  const added = (objects: Record<string, number>, name: string) => objects[name]! - before[name]!;
  expect(added(afterFew, 'SessionHost')).toBe(resting);
  expect(['SessionHost', 'TurnObserver', 'AskDesk'].map((name) => added(afterMany, name))).toEqual([resting, 0, 0]);
  // What belongs to connections and timers comes and goes; one object a task would be 400.
  for (const [name, count] of Object.entries(afterMany)) expect.soft(count - afterFew[name]!, name).toBeLessThan(150);
}, 120_000);
