import { abortWith, createAgent, queryString, startExchange, WholeAnswer } from '@opencode-manager/core/http';
import type { RequestSpec } from '@opencode-manager/core/protocol';

/** The slowest healthy answer takes seconds, on a server with fifty turns; this is for one that is held up. */
const deadlineMs = 30_000;

export interface ControlOptions {
  readonly url: string;
  readonly authorization: string;
  readonly signal: AbortSignal;
}

/** The server answered, but not as asked. */
export class ControlAnswerError extends Error {
  readonly statusCode: number;

  constructor(label: string, statusCode: number) {
    super(`the server answered ${statusCode} to ${label}`);
    this.statusCode = statusCode;
  }
}

/**
 * Sends one of the few requests that stand beside the stream, and gives the answer's JSON. The connection is its own
 * and goes with the call: opencode does not always answer a large request on one that was kept alive.
 *
 * @throws ControlAnswerError when the status is not 200; another Error when there is no answer, or none in JSON.
 */
export async function controlRequest<Response>(
  { method, path, query, body }: RequestSpec<Response>,
  options: ControlOptions,
): Promise<Response> {
  const agent = createAgent();
  const answer = new WholeAnswer();
  const asked = Object.fromEntries(Object.entries(query ?? {}).filter(([, value]) => value !== ''));
  const headers = { authorization: options.authorization, accept: 'application/json', 'content-type': 'application/json' };
  const sent = { origin: options.url, method, path: path + queryString(asked), headers, body: JSON.stringify(body) };
  const exchange = startExchange(agent, sent, answer);
  const stopListening = abortWith(exchange, AbortSignal.any([options.signal, AbortSignal.timeout(deadlineMs)]));
  try {
    await exchange.over;
    const { statusCode } = answer.head;
    if (statusCode !== 200) throw new ControlAnswerError(`${method} ${path}`, statusCode);
    return JSON.parse(answer.text()) as Response;
  } finally {
    stopListening();
    await agent.destroy().catch(() => undefined);
  }
}
