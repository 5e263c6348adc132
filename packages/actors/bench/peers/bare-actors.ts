// The peer of `scale`: what somebody writes who wants an actor for each session and no more. It proves nothing and recovers nothing.
import type { SessionFollower } from '@opencode-manager/bench';
import { createActor, createMachine } from 'xstate';

/** The smallest root actor that XState can start and that goes with a session: two states, two events. */
const machine = createMachine({
  initial: 'idle',
  states: { idle: { on: { 'session.status': 'active' } }, active: { on: { 'session.idle': 'idle' } } },
});

/** An actor of two states for each session, which is told of all but the deltas; these are added to a text. */
export class BareActors implements SessionFollower {
  readonly #sessions = new Map<string, { readonly actor: ReturnType<typeof startActor>; text: string }>();
  /** So many events of sessions came. */
  events = 0;

  begin(sessionId: string): void {
    this.#sessions.set(sessionId, { actor: startActor(), text: '' });
  }

  event(sessionId: string, type: string, { delta }: Readonly<Record<string, unknown>>): void {
    this.events += 1;
    const session = this.#sessions.get(sessionId);
    if (!session) return;
    if (type === 'message.part.delta') session.text += String(delta);
    else session.actor.send({ type });
  }

  end(sessionId: string): void {
    this.#sessions.get(sessionId)?.actor.stop();
    this.#sessions.delete(sessionId);
  }
}

function startActor() {
  return createActor(machine).start();
}
