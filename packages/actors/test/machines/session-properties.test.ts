import { expect, test } from 'vitest';
import { outcomes } from '../../src/task/types.ts';
import { seededRandom, type Random } from '../support/random.ts';
import { startSession, type SessionUnderTest } from '../support/session-actor.ts';

type Step = (session: SessionUnderTest) => void;

const runs = 1000;

/** What the server does in one good turn, in its own order. */
function goodTurn(random: Random): Step[] {
  const steps: Step[] = [
    (s) => s.send({ type: 'turn.accepted', source: 'events' }),
    (s) => s.send({ type: 'session.busy' }),
    (s) => s.start('msg_11'),
  ];
  if (random.chance(0.4)) {
    const ask = { id: 'per_1', kind: 'permission', sessionId: 'ses_root' } as const;
    steps.push(
      (s) => s.send({ type: 'ask.opened', ask }),
      (s) => s.send({ type: 'ask.closed', id: 'per_1' }),
    );
  }
  if (random.chance(0.4))
    steps.push(
      (s) => s.send({ type: 'session.retrying', retry: { attempt: 1, message: 'x', nextAtMs: 6000 } }),
      (s) => s.send({ type: 'session.busy' }),
    );
  if (random.chance(0.5)) {
    steps.push((s) => s.final('msg_11', 'tool-calls'));
    if (random.chance(0.5))
      steps.push(
        (s) => s.send({ type: 'child.busy', sessionId: 'ses_child' }),
        (s) => s.send({ type: 'child.quiet', sessionId: 'ses_child' }),
      );
    steps.push(
      (s) => s.send({ type: 'session.busy' }),
      (s) => s.start('msg_12'),
    );
  }
  steps.push(
    (s) => s.final('msg_12', 'stop'),
    (s) => s.send({ type: 'session.idle' }),
    (s) => s.send({ type: 'session.idle' }),
  );
  return steps;
}

/** Repeats some steps, and delays some past their neighbours: events come twice, late, and in another order between planes. */
function disturb(steps: readonly Step[], random: Random): Step[] {
  const disturbed = steps.flatMap((step) => (random.chance(0.2) ? [step, step] : [step]));
  for (let swaps = random.below(6); swaps > 0; swaps -= 1) {
    const at = random.below(disturbed.length - 1);
    [disturbed[at], disturbed[at + 1]] = [disturbed[at + 1]!, disturbed[at]!];
  }
  return disturbed;
}

/** Answers every read with the truth: after the last step the server is idle and holds the final answer. */
function answerReads(session: SessionUnderTest, answered: number, over: boolean): number {
  const reads = session.requests.length;
  for (let index = answered; index < reads && session.turn; index += 1) {
    const { openAsks, newestMessageId, final, children } = session.turn;
    const newest = newestMessageId === null ? {} : { newest: { id: newestMessageId, ...final } };
    const busy = Object.keys(children).filter((id) => children[id]!.busy);
    session.read(
      over ? { newest: { id: 'msg_12', finish: 'stop' }, quiet: ['ses_child'] } : { ...newest, status: 'busy', asks: openAsks, busy },
    );
  }
  return reads;
}

function play(seed: number, steps: readonly Step[], random: Random): SessionUnderTest {
  const session = startSession();
  session.submit(1, 'prompt', { timeoutMs: 600_000 });
  let answered = 0;
  for (const step of steps) {
    session.pass(random.below(random.chance(0.1) ? 400 : 20));
    step(session);
    answered = answerReads(session, answered, false);
  }
  // Long after the last event every turn has come to its end, by a proof or by a limit.
  for (let round = 1; session.finished.length === 0 && round < 200; round += 1) {
    session.pass(50 * round);
    answered = answerReads(session, answered, true);
  }
  expect(session.finished.length, `seed ${seed}`).toBe(1);
  return session;
}

test('a good turn whose events are repeated, late or reordered has succeeded exactly once', () => {
  for (let seed = 1; seed <= runs; seed += 1) {
    const random = seededRandom(seed);
    const session = play(seed, disturb(goodTurn(random), random), random);
    expect(session.finished[0], `seed ${seed}`).toMatchObject({ outcome: 'succeeded', finalMessageId: 'msg_12' });
    expect(session.finished[0]?.proof, `seed ${seed}`).not.toBeNull();
  }
});

test('with gaps, aborts and failures thrown in, a turn still ends exactly once, with an outcome of the set', () => {
  const error = { name: 'OpencodeManagerError', code: 'INTERNAL', message: 'x' } as const;
  const noise: Step[] = [
    (s) => s.send({ type: 'stream.gap' }),
    (s) => s.send({ type: 'stream.live' }),
    (s) => s.send({ type: 'turn.abort' }),
    (s) => s.send({ type: 'turn.unknown', error }),
    (s) => s.send({ type: 'session.errored', error: { kind: 'provider', name: 'APIError', message: 'x' } }),
    (s) => s.send({ type: 'loop.seen', loop: { emptySteps: 5, repetitions: 0, period: 1 } }),
    (s) => s.send({ type: 'answer.oversized', bytes: 1e9 }),
    (s) => s.hear(),
    (s) => s.send({ type: 'session.deleted' }),
    (s) => s.send({ type: 'server.exited', error }),
  ];
  const seen = new Set<string>();
  for (let seed = 1; seed <= runs; seed += 1) {
    const random = seededRandom(seed + 1_000_000);
    const steps = disturb(goodTurn(random), random);
    for (let more = random.below(4); more > 0; more -= 1) steps.splice(random.below(steps.length), 0, random.pick(noise));
    const { outcome } = play(seed, steps, random).finished[0]!;
    expect(outcomes).toContain(outcome);
    seen.add(outcome);
  }
  expect([...seen].toSorted()).toEqual(['aborted', 'failed', 'interrupted', 'runaway', 'server_lost', 'succeeded']);
});

test('a stale idle of the last turn never ends the next, whenever it comes', () => {
  for (let seed = 1; seed <= runs; seed += 1) {
    const random = seededRandom(seed + 2_000_000);
    const session = startSession();
    session.submit(1);
    for (const step of goodTurn(random)) {
      session.pass();
      step(session);
    }
    expect(session.finished.length, `seed ${seed}`).toBe(1);
    session.submit(2);
    const steps: Step[] = [(s) => s.send({ type: 'turn.accepted', source: 'events' })];
    steps.splice(
      random.below(2),
      0,
      (s) => s.send({ type: 'session.idle' }),
      (s) => s.final('msg_05', 'stop', { parentId: 'msg_04' }),
    );
    for (const step of steps) step(session);
    expect(session.finished.length, `seed ${seed}`).toBe(1);
  }
});
