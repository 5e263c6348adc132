import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** Why a request is refused. */
export type Refusal = { readonly status: 401 | 403; readonly message: string };

/**
 * Who may speak to the page's server. Other pages in the user's browser can reach a loopback port as well as the user: so the host
 * must be ours (against rebinding of names), an origin must be ours (against forged requests), and each request for what a run holds
 * must carry a token in a header. A cookie would not do: it belongs to the host, so that the page of any other port is sent it too.
 */
export class Access {
  readonly #origins: ReadonlySet<string>;
  readonly #hosts: ReadonlySet<string>;
  readonly #token = secret();
  #ticket: string | undefined = secret();

  constructor(port: number) {
    const hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
    this.#hosts = new Set(hosts);
    this.#origins = new Set(hosts.map((host) => `http://${host}`));
  }

  /** What the printed address carries in its fragment, which no request contains; it can be exchanged once. */
  get ticket(): string {
    return this.#ticket ?? '';
  }

  /** Checked before anything else is looked at. */
  refusalOf({ headers, method }: IncomingMessage): Refusal | undefined {
    if (!this.#hosts.has(headers.host ?? '')) return { status: 403, message: 'This host is not served here.' };
    const { origin } = headers;
    const foreign = origin === undefined ? method !== 'GET' && method !== 'HEAD' : !this.#origins.has(origin);
    if (foreign) return { status: 403, message: 'Requests of other origins are refused.' };
    // Another port of this machine is the same site to a browser, and another origin.
    const site = headers['sec-fetch-site'];
    if ((site === 'cross-site' || site === 'same-site') && headers['sec-fetch-mode'] !== 'navigate')
      return { status: 403, message: 'Requests of other sites are refused.' };
    return undefined;
  }

  /** Whether the request carries the token. */
  isKnown(request: IncomingMessage): boolean {
    return isEqual(bearerOf(request), this.#token);
  }

  /** Takes the ticket, once, and gives the token for it; undefined when it is not the ticket or was taken before. */
  exchange(request: IncomingMessage): string | undefined {
    if (this.#ticket === undefined || !isEqual(bearerOf(request), this.#ticket)) return undefined;
    this.#ticket = undefined;
    return this.#token;
  }
}

function bearerOf({ headers: { authorization = '' } }: IncomingMessage): string {
  return /^Bearer (\S+)$/.exec(authorization)?.[1] ?? '';
}

function secret(): string {
  return randomBytes(32).toString('base64url');
}

function isEqual(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
