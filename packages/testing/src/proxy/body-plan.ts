import { EventSplitter } from './event-splitter.ts';
import { withoutPosition } from './request-head.ts';
import type { BodyPoint, DropFault, DuplicateFault, EventSelector, NetworkFault, ReplaceFault, StallFault } from './types.ts';

/** What comes next on the way of a body to the client. */
export type BodyStep = { readonly kind: 'write'; readonly data: Buffer } | { readonly kind: 'fault'; readonly fault: NetworkFault };

type PointFault = (DropFault | StallFault) & { readonly at: BodyPoint };
type Edit = DuplicateFault | ReplaceFault;
type EventSide = 'beforeEvent' | 'insideEvent' | 'afterEvent';

/**
 * Turns the pieces of an answer's body into steps: bytes to write and faults in between. Pure, so that equal bytes give
 * equal steps however the network cut them.
 *
 * Pieces pass as they come. Only when a fault asks about events is each event held until its last byte is there.
 */
export class BodyPlan {
  /** Whole events so far. */
  events = 0;
  readonly #splitter: EventSplitter | undefined;
  readonly #byEvent: boolean;
  readonly #edits: readonly Edit[];
  readonly #slice: number;
  #points: readonly PointFault[];
  #sent = 0;
  #unannounced: readonly NetworkFault[];

  constructor(faults: readonly NetworkFault[], isEventStream: boolean) {
    this.#splitter = isEventStream ? new EventSplitter() : undefined;
    this.#byEvent = isEventStream && faults.some(asksAboutEvents);
    this.#edits = faults.filter(isEdit);
    this.#points = faults.filter(isPointFault);
    const slices = faults.filter((fault) => fault.type === 'slice');
    this.#slice = Math.min(...slices.map(({ bytes = 1 }) => bytes), Infinity);
    this.#unannounced = slices;
  }

  *feed(piece: Buffer): Generator<BodyStep> {
    if (this.#splitter && this.#byEvent) {
      for (const event of this.#splitter.split(piece)) yield* this.#event(event);
      return;
    }
    // Counted event by event also here: a fault at a byte may end the stream in the middle of this piece.
    for (const _ of this.#splitter?.ends(piece) ?? []) this.events += 1;
    yield* this.#emit(piece);
  }

  /** What is left when the body has ended. */
  *end(): Generator<BodyStep> {
    yield* this.#emit(this.#splitter?.rest() ?? Buffer.alloc(0));
  }

  *#event(event: Buffer): Generator<BodyStep> {
    this.events += 1;
    const text = event.toString();
    const due = this.#takePoints((at) => sidesOf(at).some(([, selector]) => selects(selector, this.events, text)));
    const at = (side: EventSide) => due.filter((fault) => side in fault.at).map((fault): BodyStep => ({ kind: 'fault', fault }));
    yield* at('beforeEvent');
    const { data, applied } = this.#edit(event, text);
    for (const fault of applied) yield { kind: 'fault', fault };
    const inside = at('insideEvent');
    const middle = inside.length > 0 ? Math.floor(event.length / 2) : 0;
    yield* this.#emit(data.subarray(0, middle));
    yield* inside;
    yield* this.#emit(data.subarray(middle));
    yield* at('afterEvent');
  }

  #edit(event: Buffer, text: string): { data: Buffer; applied: readonly Edit[] } {
    const applied = this.#edits.filter((edit) => selects(edit.event, this.events, text));
    const data = applied.reduce((bytes, edit) => editBytes(edit, bytes), event);
    return { data, applied };
  }

  *#emit(data: Buffer): Generator<BodyStep> {
    let rest = data;
    const due = this.#takePoints((at) => 'afterBytes' in at && at.afterBytes <= this.#sent + data.length);
    for (const fault of due.toSorted((a, b) => byteOf(a) - byteOf(b))) {
      const before = byteOf(fault) - this.#sent;
      yield* this.#pieces(rest.subarray(0, before));
      rest = rest.subarray(before);
      yield { kind: 'fault', fault };
    }
    yield* this.#pieces(rest);
  }

  *#pieces(data: Buffer): Generator<BodyStep> {
    if (data.length === 0) return;
    for (const fault of this.#unannounced) yield { kind: 'fault', fault };
    this.#unannounced = [];
    for (let start = 0; start < data.length; start += this.#slice) {
      const piece = data.subarray(start, start + this.#slice);
      this.#sent += piece.length;
      yield { kind: 'write', data: piece };
    }
  }

  /** Each point is passed once. */
  #takePoints(isDue: (at: BodyPoint) => boolean): readonly PointFault[] {
    const due = this.#points.filter(({ at }) => isDue(at));
    this.#points = this.#points.filter((point) => !due.includes(point));
    return due;
  }
}

/** Whether the plan needs to read the text of the events, which a compressed body would hide. */
export function asksAboutEvents(fault: NetworkFault): boolean {
  return isEdit(fault) || (isPointFault(fault) && !('afterBytes' in fault.at));
}

export function isEdit(fault: NetworkFault): fault is Edit {
  return fault.type === 'duplicate' || fault.type === 'replace';
}

function isPointFault(fault: NetworkFault): fault is PointFault {
  return (fault.type === 'drop' || fault.type === 'stall') && typeof fault.at === 'object';
}

function sidesOf(at: BodyPoint): [EventSide, EventSelector][] {
  return 'afterBytes' in at ? [] : (Object.entries(at) as [EventSide, EventSelector][]);
}

function byteOf({ at }: PointFault): number {
  return 'afterBytes' in at ? at.afterBytes : 0;
}

function selects(selector: EventSelector, number: number, text: string): boolean {
  if (typeof selector === 'number') return selector === number;
  return typeof selector === 'string' ? text.includes(selector) : withoutPosition(selector).test(text);
}

function editBytes(edit: Edit, bytes: Buffer): Buffer {
  if (edit.type === 'duplicate') return Buffer.concat(Array.from({ length: 1 + (edit.copies ?? 1) }, () => bytes));
  return Buffer.from(typeof edit.with === 'string' ? edit.with : edit.with(bytes.toString()));
}
