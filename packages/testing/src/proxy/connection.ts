import { Agent, type ClientRequest } from 'node:http';
import type { Socket } from 'node:net';

import type { PassedOutcome } from './record.ts';
import type { CutKind } from './types.ts';

/** A request under way. */
interface Ending {
  end(outcome: PassedOutcome): void;
}

/**
 * A client's connection and the one that stands for it on the target's side. One for one, so that a kept connection which the
 * target closes is closed for the client too, and a client sees what it would see without the proxy.
 */
export class ClientConnection {
  readonly number: number;
  readonly socket: Socket;
  readonly agent = new Agent({ keepAlive: true, maxSockets: 1 });
  /** Requests under way; they tell of the target's end themselves. */
  readonly exchanges = new Set<Ending>();
  readonly #watched = new WeakSet<Socket>();
  readonly #abandoned = new WeakSet<Socket>();

  constructor(number: number, socket: Socket) {
    this.number = number;
    this.socket = socket;
    // The target alone says when a kept connection ends: a deadline of the proxy's own would race with the client's next request.
    this.agent.keepSocketAlive = () => true;
    socket.once('close', () => this.#clientLeft());
  }

  /** Passes the target's closing of an idle connection on. */
  watch(upstream: Socket): void {
    if (this.#watched.has(upstream)) return;
    this.#watched.add(upstream);
    upstream.once('close', () => {
      if (this.exchanges.size === 0 && !this.#abandoned.has(upstream)) this.socket.destroySoon();
    });
  }

  /** Ends a request that nobody wants any more, together with its connection, which is no closing by the target. */
  abandon(outgoing: ClientRequest): void {
    if (outgoing.socket) this.#abandoned.add(outgoing.socket);
    outgoing.destroy();
  }

  #clientLeft(): void {
    for (const exchange of this.exchanges) exchange.end('aborted');
    this.agent.destroy();
  }

  /** `end` needs an answer that can end; a connection gets `fin` in its place. */
  break(how: CutKind): void {
    if (how === 'rst') this.socket.resetAndDestroy();
    else this.socket.destroySoon();
  }
}
