import { createActor, type ActorRefFrom, type SnapshotFrom } from 'xstate';
import { describe, expect, test } from 'vitest';
import { sessionMachine, type SessionMachineEvent } from '../../src/machines/index.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { seededRandom } from '../support/random.ts';
import { timeOf, TrueTurn, turns, type ReadAt } from '../support/true-turn.ts';

type Snapshot = SnapshotFrom<typeof sessionMachine>;
type Actor = ActorRefFrom<typeof sessionMachine>;

/** Which events are delivered when: a list of them for each position. */
type Delivery = readonly (readonly SessionMachineEvent[])[];

interface Read extends ReadAt {
  readonly answered: number;
}

const submit = { type: 'turn.submit', taskId: 't1', messageId: 'msg_10', kind: 'prompt', timeoutMs: null, atMs: 500 } as const;

/** Its timers never fire: what is looked at is what events and reads do. */
function actorAt(snapshot?: Snapshot): Actor {
  const input = { sessionId: 'ses_root', directory: '/work', atMs: 0 };
  return createActor(sessionMachine, { input, clock: new ManualClock(), ...(snapshot && { snapshot }) }).start();
}

/** Every event comes so many positions late, in the order of the stream. */
function late(turn: TrueTurn, by: number): Delivery {
  return Array.from({ length: turn.end + by + 1 }, (_, position) => {
    const step = turn.steps[position - by - 1];
    return step ? [step.event(timeOf(position))] : [];
  });
}

/** What happens after position `from` is told by no event; that is noticed at `noticed`, and the stream is live again at `live`. */
function broken(turn: TrueTurn, from: number, noticed: number, live: number): Delivery {
  return late(turn, 0).map((told, position) => {
    const heard = position > from && position <= live ? [] : told;
    const gap = position === noticed ? [{ type: 'stream.gap' } as const] : [];
    const end = position === live ? [{ type: 'stream.live', atMs: timeOf(position) + 5 } as const] : [];
    return heard.concat(gap, end);
  });
}

/** Follows one turn to its end, with reads answered on the way, and checks at each position what must hold at each. */
class Playthrough {
  readonly #turn: TrueTurn;
  readonly #delivery: Delivery;
  /** The machine at each position, as long as no read was answered. */
  readonly #unread: Snapshot[] = [];
  readonly #opened: number;

  constructor(turn: TrueTurn, delivery: Delivery) {
    this.#turn = turn;
    this.#delivery = delivery;
    const actor = actorAt();
    actor.send(submit);
    for (const told of delivery) {
      for (const event of told) actor.send(event);
      this.#unread.push(actor.getSnapshot());
    }
    this.#opened = delivery.findIndex((told) => told.some(({ type }) => type === 'ask.opened'));
  }

  play(reads: readonly Read[]): void {
    const from = reads[0]!.answered;
    const actor = actorAt(this.#unread[from]);
    for (let position = from; position < this.#delivery.length; position += 1) {
      if (position > from) for (const event of this.#delivery[position]!) actor.send(event);
      for (const read of reads) if (read.answered === position) this.#answer(actor, read);
      const fault = this.#faultAt(actor.getSnapshot(), position);
      if (fault !== undefined) throw new Error(`${fault}: at ${position}, ${this.#describe(reads, actor.getSnapshot())}`);
    }
    const end = this.#delivery.length + 1;
    this.#answer(actor, { history: end, asked: end, status: end, children: end, asks: end, answered: end });
    const { context } = actor.getSnapshot();
    const { outcome, finalMessageId } = context.lastTurn ?? {};
    if (context.turn !== null || outcome !== 'succeeded' || finalMessageId !== 'msg_12')
      throw new Error(`ended as ${outcome} with ${finalMessageId}: ${this.#describe(reads, actor.getSnapshot())}`);
  }

  #answer(actor: Actor, read: Read): void {
    actor.send({ type: 'snapshot.read', reading: this.#turn.reading(read), atMs: timeOf(read.answered) + 60 });
  }

  #faultAt({ context }: Snapshot, position: number): string | undefined {
    if (context.turn === null) {
      if (!this.#turn.isOver(position)) return `over too early, as ${context.lastTurn?.outcome}`;
      return context.lastTurn?.outcome === 'succeeded' ? undefined : `over as ${context.lastTurn?.outcome}`;
    }
    const isTold = this.#opened >= 0 && this.#opened <= position;
    const open = this.#turn.at(position).asks;
    if (isTold && open.length > 0 && context.turn.openAsks.length === 0) return 'lost the open ask';
    if (open.length === 0 && context.turn.closedAsks.length > 0 && context.turn.openAsks.length > 0) return 'opened the closed ask again';
    return undefined;
  }

  #describe(reads: readonly Read[], { value, context }: Snapshot): string {
    const delivered = this.#delivery.map((told) => told.map(({ type }) => type).join('+')).join(' ');
    return JSON.stringify({ reads, value, delivered, turn: context.turn, lastTurn: context.lastTurn });
  }
}

/** Every read, each part of it true at an instant of its own. */
function* everyRead(last: number): Generator<Read> {
  for (let asked = 0; asked <= last; asked += 1)
    for (let history = 0; history <= asked; history += 1)
      for (let answered = asked; answered <= last; answered += 1)
        for (let status = asked; status <= answered; status += 1)
          for (let asks = asked; asks <= answered; asks += 1) yield { history, asked, status, children: status, asks, answered };
}

/** Reads whose children were true at another instant than their status. */
function* everyUnevenRead(last: number): Generator<Read> {
  for (const read of everyRead(last))
    for (let children = read.asked; children <= read.answered; children += 1) if (children !== read.status) yield { ...read, children };
}

/** Of every read some: their parts follow one another soon or late. */
function* someReads(last: number): Generator<Read> {
  for (const read of everyRead(last)) {
    const { history, asked, status, asks, answered } = read;
    if ([0, 3].includes(asked - history) && [0, 1].includes(asks - status) && [0, 2].includes(answered - asks)) yield read;
  }
}

/** Plays every read; those that tell the same at the same time are one. */
function playAll(turn: TrueTurn, delivery: Delivery, reads: Iterable<Read>): number {
  const through = new Playthrough(turn, delivery);
  const told = new Set<string>();
  let played = 0;
  for (const read of reads) {
    played += 1;
    const tells = turn.tellingOf(read, read.answered);
    if (told.has(tells)) continue;
    told.add(tells);
    through.play([read]);
  }
  return played;
}

describe.each(Object.entries(turns))('a turn with %s, and one read at every position', (_, begin) => {
  const turn = new TrueTurn(begin);

  test('whose events come in time', () => {
    expect(playAll(turn, late(turn, 0), everyRead(turn.end))).toBe(7371);
  });

  test('of whose parts each was true at an instant of its own', () => {
    expect(playAll(turn, late(turn, 0), everyUnevenRead(turn.end))).toBeGreaterThan(40_000);
  });

  test.each([1, 3])('whose events come %i positions late', (by) => {
    expect(playAll(turn, late(turn, by), everyRead(turn.end + by))).toBeGreaterThan(9000);
  });

  test('whose events are lost in a gap, wherever it begins, is noticed and ends', () => {
    let played = 0;
    for (let from = 0; from < turn.end; from += 1)
      for (const noticed of [from, from + 2])
        for (const live of [noticed, noticed + 2, turn.end])
          if (live <= turn.end) played += playAll(turn, broken(turn, from, noticed, live), someReads(turn.end));
    expect(played).toBeGreaterThan(20_000);
  });

  test('read twice, with events late or lost: 3,000 samples', () => {
    const random = seededRandom(20);
    for (let sample = 0; sample < 30; sample += 1) {
      const by = random.below(4);
      const from = random.below(turn.end);
      const noticed = from + random.below(3);
      const live = noticed + random.below(turn.end);
      const through = new Playthrough(turn, random.chance(0.5) ? late(turn, by) : broken(turn, from, noticed, live));
      const sampleRead = (after: number): Read => {
        const history = after + random.below(turn.end - after + 1);
        const asked = history + random.below(turn.end - history + 1);
        const answered = asked + random.below(turn.end - asked + 1);
        const between = () => asked + random.below(answered - asked + 1);
        return { history, asked, answered, status: between(), children: between(), asks: between() };
      };
      for (let pair = 0; pair < 100; pair += 1) {
        const before = sampleRead(0);
        through.play([before, sampleRead(before.answered)]);
      }
    }
  });
});
