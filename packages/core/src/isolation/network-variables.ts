const loopback = ['127.0.0.1', 'localhost', '::1'];

const proxies = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy'] as const;
const exceptions = ['NO_PROXY', 'no_proxy'] as const;

/** Files and directories of certificates, as many programs name them. */
const certificates = [
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'NODE_EXTRA_CA_CERTS',
  'NODE_USE_SYSTEM_CA',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'GIT_SSL_CAPATH',
  'PIP_CERT',
  'CARGO_HTTP_CAINFO',
  'NIX_SSL_CERT_FILE',
  'AWS_CA_BUNDLE',
  'DENO_CERT',
  'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH',
] as const;

export interface NetworkVariables {
  readonly variables: Readonly<Record<string, string>>;
  /** Proxies that are not passed, because their value holds a user or a password. */
  readonly withheld: readonly string[];
}

/**
 * The way to the network that the user's own programs take: proxies and certificates. What holds a user part is a secret and passes by
 * name alone. With a proxy, loopback is among the exceptions: servers, models and MCP servers of this machine are not behind it.
 */
export function networkVariables(source: NodeJS.ProcessEnv, named: readonly string[]): NetworkVariables {
  const variables: Record<string, string> = {};
  const withheld: string[] = [];
  for (const name of [...proxies, ...exceptions, ...certificates]) {
    const value = source[name];
    if (value === undefined || value === '' || named.includes(name)) continue;
    if (holdsUserPart(value) && !(certificates as readonly string[]).includes(name)) withheld.push(name);
    else variables[name] = value;
  }
  const given = new Set([...Object.keys(variables), ...named]);
  if (proxies.some((name) => given.has(name))) {
    for (const name of exceptions) variables[name] = withLoopback(source[name] ?? source[exceptions.find((other) => other !== name)!]);
  }
  return { variables, withheld };
}

/** `http://user:password@host:8080`, and the same without its scheme. */
function holdsUserPart(value: string): boolean {
  return /^(?:[a-z][a-z\d+.-]*:\/\/)?[^/@]+@/i.test(value);
}

function withLoopback(value: string | undefined): string {
  const hosts = (value ?? '')
    .split(',')
    .map((host) => host.trim())
    .filter((host) => host !== '');
  return hosts.includes('*') ? '*' : [...new Set([...hosts, ...loopback])].join(',');
}
