/** Where the token is kept over a reload: storage of this tab and this origin, port included. */
const storageKey = 'ocm-playground-token';

let token: string | undefined;

/**
 * Exchanges the ticket in the address for the token, once, and takes it out of the address. The fragment is in no request, so that
 * no log of a server or a proxy has it.
 */
export async function enter(): Promise<void> {
  const ticket = ticketOf(location.hash);
  token = sessionStorage.getItem(storageKey) ?? undefined;
  // An address that is pasted into the open page changes its fragment alone.
  addEventListener('hashchange', () => ticketOf(location.hash) !== undefined && location.reload());
  if (ticket === undefined) return;
  history.replaceState(null, '', location.pathname + location.search);
  const response = await fetch('./enter', { method: 'POST', headers: { authorization: `Bearer ${ticket}` } }).catch(() => undefined);
  if (!response?.ok) return;
  token = ((await response.json()) as { readonly token: string }).token;
  sessionStorage.setItem(storageKey, token);
}

/** A request to the server of this page, with the token. */
export function ask(
  path: string,
  init: Omit<RequestInit, 'headers'> & { readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<Response> {
  const headers = { ...init.headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) };
  return fetch(path, { ...init, headers });
}

function ticketOf(hash: string): string | undefined {
  return new URLSearchParams(hash.slice(1)).get('token') ?? undefined;
}
