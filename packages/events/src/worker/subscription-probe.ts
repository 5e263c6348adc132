import { randomUUID } from 'node:crypto';
import type { ArrivedEvent, ProtocolStream, RequestSpec } from '@opencode-manager/core/protocol';
import { ControlAnswerError, controlRequest, type ControlOptions } from './control-request.ts';

/** No session of opencode has such an id; every monitor of a server knows the probes of the others by it. */
const probePrefix = 'ses_eventmonitorprobe';

/** Wait before the probe is sent again. */
const repeatMs = 50;

/** A server that takes the probe but never announces it is believed after this long. */
const patienceMs = 10_000;

/**
 * Proves that a new connection is subscribed.
 *
 * opencode greets a connection first and subscribes it some time later: of the events that it published within about
 * 20 ms after the greeting, up to 44 % were never sent (1.18.33), and with fifty prompts at once all of three turns, ends included,
 * because the subscription took most of a second. So a session that does not exist is aborted, which
 * changes nothing and makes the server announce that session as idle; what was published before the announcement is in
 * the history, and what comes after it is on the stream.
 */
export class SubscriptionProbe {
  readonly #request: ProtocolStream['probe'];
  readonly #sessionId = probePrefix + randomUUID().replaceAll('-', '');
  #announced = Promise.withResolvers<true>();

  /** @param request see `ProtocolStream.probe` */
  constructor(request: ProtocolStream['probe']) {
    this.#request = request;
  }

  /** True for an event that a probe caused, this one or another's; it is nobody's business. */
  observe(event: ArrivedEvent): boolean {
    if (event.sessionId === undefined || !event.sessionId.startsWith(probePrefix)) return false;
    if (event.sessionId === this.#sessionId) this.#announced.resolve(true);
    return true;
  }

  /**
   * Resolves when the announcement came, or when the server will not give one.
   * @throws Error when the server does not answer, or is in trouble.
   */
  async prove(directory: string | undefined, options: ControlOptions): Promise<void> {
    const startedAt = performance.now();
    const request = this.#request?.(this.#sessionId, directory ?? '');
    if (!request) return;
    do {
      if (!(await isTaken(request, options))) return;
      if (await this.#announcedWithin(repeatMs, options.signal)) return;
    } while (performance.now() - startedAt < patienceMs);
  }

  async #announcedWithin(delayMs: number, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    let timer: NodeJS.Timeout | undefined;
    const delay = new Promise<false>((resolve) => {
      timer = setTimeout(resolve, delayMs, false);
    });
    const announced = await Promise.race([this.#announced.promise, delay]);
    clearTimeout(timer);
    return announced;
  }
}

/** False when the server refuses the probe: a version that checks the id first has no way to prove anything. */
async function isTaken(request: RequestSpec, options: ControlOptions): Promise<boolean> {
  try {
    await controlRequest(request, options);
    return true;
  } catch (error) {
    if (error instanceof ControlAnswerError && (error.statusCode === 400 || error.statusCode === 404)) return false;
    throw error;
  }
}
