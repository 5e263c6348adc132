import type { SessionMachineEvent, TurnReading } from '../../src/machines/index.ts';
import { childAsk, ended, rootAsk, type Ask } from './session-actor.ts';

/** What is true of one turn on the server at an instant. */
interface Truth {
  readonly found: boolean;
  readonly newest: { readonly id: string; readonly finish?: string } | null;
  readonly busy: boolean;
  readonly child: 'busy' | 'quiet' | null;
  readonly asks: readonly Ask[];
}

type EventAt = (atMs: number) => SessionMachineEvent;

/** Something that happens on the server: what is true from then on, and the event that tells of it. */
interface Step {
  readonly change: Partial<Truth>;
  readonly event: EventAt;
}

const first = { id: 'msg_11' };
const second = { id: 'msg_12' };

const accepted: Step = { change: { found: true }, event: (atMs) => ({ type: 'turn.accepted', source: 'events', atMs }) };
const busy: Step = { change: { busy: true }, event: (atMs) => ({ type: 'session.busy', atMs }) };
const started = ({ id }: { readonly id: string }): Step => ({
  change: { newest: { id } },
  event: (atMs) => ({ type: 'message.started', id, parentId: 'msg_10', atMs }),
});
const finished = ({ id }: { readonly id: string }, finish: string): Step => ({
  change: { newest: { id, finish } },
  event: (atMs) => ({ type: 'message.finalised', message: ended({ id, finish }), atMs }),
});
const opened = (ask: Ask): Step => ({ change: { asks: [ask] }, event: (atMs) => ({ type: 'ask.opened', ask, atMs }) });
const closed = ({ id }: Ask): Step => ({ change: { asks: [] }, event: (atMs) => ({ type: 'ask.closed', id, atMs }) });
const childBusy: Step = { change: { child: 'busy' }, event: (atMs) => ({ type: 'child.busy', sessionId: 'ses_child', atMs }) };
const childQuiet: Step = { change: { child: 'quiet' }, event: (atMs) => ({ type: 'child.quiet', sessionId: 'ses_child', atMs }) };
const idle: Step = { change: { busy: false }, event: (atMs) => ({ type: 'session.idle', atMs }) };

/** Two short turns of two steps each: the session itself asks, or its sub-agent does. */
export const turns = {
  'its own ask': [accepted, busy, started(first), opened(rootAsk), closed(rootAsk), childBusy, childQuiet],
  "a sub-agent's ask": [accepted, busy, started(first), childBusy, opened(childAsk), closed(childAsk), childQuiet],
} as const satisfies Record<string, readonly Step[]>;
const ending: readonly Step[] = [finished(first, 'tool-calls'), started(second), finished(second, 'stop'), idle];

/** Instants are positions: at position k, k things have happened. Each has an event at its instant, or later. */
export class TrueTurn {
  readonly steps: readonly Step[];
  readonly #truths: readonly Truth[];

  constructor(begin: readonly Step[]) {
    this.steps = [...begin, ...ending];
    const truths: Truth[] = [{ found: false, newest: null, busy: false, child: null, asks: [] }];
    for (const { change } of this.steps) truths.push({ ...truths.at(-1)!, ...change });
    this.#truths = truths;
  }

  get end(): number {
    return this.steps.length;
  }

  at(position: number): Truth {
    return this.#truths[Math.min(position, this.end)]!;
  }

  isOver(position: number): boolean {
    return position >= this.end;
  }

  /** The same for two reads that tell the same, to a machine that gets them at the same position. */
  tellingOf({ history, asked, status, children, asks }: ReadAt, answered: number): string {
    return [history, asked, answered, this.at(status).busy, this.at(children).child, this.at(asks).asks.length].join();
  }

  /** What a read tells whose parts were asked for and true at these positions. */
  reading({ history, asked, status, children, asks }: ReadAt): TurnReading {
    const { found, newest } = this.at(history);
    const { child } = this.at(children);
    // A sub-agent is known by its event, or because the read found it before it read the history.
    const known = this.at(history).child !== null || this.at(asked).child !== null;
    const final = newest?.finish === undefined ? null : ended({ id: newest.id, finish: newest.finish });
    const sinceMs = timeOf(asked) + 40;
    return {
      messageId: 'msg_10',
      history: {
        sinceMs: timeOf(history) + 20,
        seenAtMs: timeOf(asked) + 30,
        found,
        newest: newest && { id: newest.id, final },
        changed: true,
      },
      status: { sinceMs, value: this.at(status).busy ? 'busy' : 'idle' },
      children: {
        sinceMs,
        busy: known && child === 'busy' ? ['ses_child'] : [],
        quiet: known && child !== 'busy' ? ['ses_child'] : [],
        unbegun: [],
        wholeSinceMs: sinceMs,
      },
      asks: { sinceMs, listed: this.at(asks).asks.map((ask) => Object.assign({ atMs: sinceMs }, ask)) },
      agoMs: 0,
    };
  }
}

/** When the parts of a read were true. The history was answered, and the rest asked for, at `asked`. */
export interface ReadAt {
  readonly history: number;
  readonly asked: number;
  readonly status: number;
  readonly children: number;
  readonly asks: number;
}

/** When something happens, in milliseconds; what is between two positions happens in the 100 ms after the first. */
export const timeOf = (position: number): number => 1000 + 100 * position;
