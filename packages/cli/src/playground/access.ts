import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** Why a request is refused. */
export type Refusal = { readonly status: 401 | 403; readonly message: string };

/**
 * Who may speak to the page's server. Other pages in the user's browser can reach a loopback port as well as the user: so
 * the host must be ours (against rebinding of names), an origin must be ours (against forged requests), and the browser
 * must hold the cookie that the one-time token was exchanged for.
 */
export class Access {
  readonly #origins: ReadonlySet<string>;
  readonly #hosts: ReadonlySet<string>;
  readonly #cookieName: string;
  readonly #cookie = secret();
  #token: string | undefined = secret();

  constructor(port: number) {
    const hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
    this.#hosts = new Set(hosts);
    this.#origins = new Set(hosts.map((host) => `http://${host}`));
    // Cookies know no ports: two pages on one host must not overwrite each other's.
    this.#cookieName = `ocm-playground-${port}`;
  }

  /** The token that opens the page once. */
  get token(): string {
    return this.#token ?? '';
  }

  /** Checked before anything else is looked at. */
  refusalOf({ headers, method }: IncomingMessage): Refusal | undefined {
    if (!this.#hosts.has(headers.host ?? '')) return { status: 403, message: 'This host is not served here.' };
    const { origin } = headers;
    const foreign = origin === undefined ? method !== 'GET' && method !== 'HEAD' : !this.#origins.has(origin);
    if (foreign) return { status: 403, message: 'Requests of other origins are refused.' };
    if (headers['sec-fetch-site'] === 'cross-site' && headers['sec-fetch-mode'] !== 'navigate')
      return { status: 403, message: 'Requests of other sites are refused.' };
    return undefined;
  }

  /** Whether the browser has opened the page with the token before. */
  isKnown({ headers }: IncomingMessage): boolean {
    const cookies = (headers.cookie ?? '').split(';').map((cookie) => cookie.trim());
    return cookies.some(
      (cookie) => cookie.startsWith(`${this.#cookieName}=`) && isEqual(cookie.slice(this.#cookieName.length + 1), this.#cookie),
    );
  }

  /** Takes the token, once, and gives the cookie for it; undefined when it is not the token or was taken before. */
  exchange(token: string): string | undefined {
    if (this.#token === undefined || !isEqual(token, this.#token)) return undefined;
    this.#token = undefined;
    return `${this.#cookieName}=${this.#cookie}; HttpOnly; SameSite=Strict; Path=/`;
  }
}

function secret(): string {
  return randomBytes(32).toString('base64url');
}

function isEqual(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
