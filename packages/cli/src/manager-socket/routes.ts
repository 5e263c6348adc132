import * as z from 'zod';

/**
 * Major version of what is said on the socket. It leads every path (`/v1/...`) and stands in the header {@link protocolHeader} of every answer; a
 * change that an older client would misread raises it.
 */
export const protocolMajor = 1;

/** Header of every answer: the major version that the manager speaks. */
export const protocolHeader = 'ocm-protocol';

type Fields = Readonly<Record<string, z.ZodType>>;

/** Where a method is, and what it takes. `{name}` in the path is the parameter of that name; the others are the query of a GET, else the body. */
interface Route<Shape extends Fields = Fields> {
  readonly verb: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly parameters: z.ZodObject<Shape, z.core.$strict>;
}

function route<Shape extends Fields>(verb: Route['verb'], path: string, shape: Shape): Route<Shape> {
  return { verb, path, parameters: z.strictObject(shape) };
}

const text = z.string().min(1);
const sessionId = text;
const turn = { session_id: sessionId, timeout_ms: z.number().min(1).optional() };

/** In a query, a list of one is a plain string. */
const list = z.union([text.transform((one) => [one]), z.array(text)]);

const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((given) => given === 'true')]);

/** In a query, a number is a string of digits. */
const count = z.union([
  z.int().min(0),
  z
    .string()
    .regex(/^\d{1,15}$/, 'not a whole number')
    .transform(Number),
]);

const run = text;
const keys = z.array(text).min(1);

/** All that a manager can be asked for. */
const routes = {
  /** Who this manager is, and which version it speaks. */
  describe: route('GET', '/v1', {}),
  /** What another client needs to connect to the server; the socket is the user's alone. */
  credentials: route('GET', '/v1/credentials', {}),
  sessions: route('GET', '/v1/sessions', {}),
  createSession: route('POST', '/v1/sessions', { title: z.string().optional(), directory: z.string().optional() }),
  prompt: route('POST', '/v1/sessions/{session_id}/prompt', { ...turn, text: z.string() }),
  /** Streams what the model says, then the result. */
  promptStream: route('POST', '/v1/sessions/{session_id}/prompt/stream', { ...turn, text: z.string() }),
  exec: route('POST', '/v1/sessions/{session_id}/exec', { ...turn, command: z.string(), arguments: z.string().optional() }),
  shell: route('POST', '/v1/sessions/{session_id}/shell', { ...turn, line: z.string() }),
  revert: route('POST', '/v1/sessions/{session_id}/revert', {
    session_id: sessionId,
    message_id: z.string().optional(),
    force: z.boolean().optional(),
  }),
  unrevert: route('POST', '/v1/sessions/{session_id}/unrevert', { session_id: sessionId }),
  deleteSession: route('DELETE', '/v1/sessions/{session_id}', { session_id: sessionId }),
  abort: route('POST', '/v1/sessions/{session_id}/abort', { session_id: sessionId }),
  /** Streams events until the client goes. */
  events: route('GET', '/v1/events', {
    session_id: list.optional(),
    directory: z.string().optional(),
    type: list.optional(),
    plane: z.enum(['lifecycle', 'stream']).optional(),
  }),
  /** Serves a page of the playground for as long as the client stays; its address, token included, is the one item of the stream. */
  page: route('POST', '/v1/page', { allow_control: z.boolean().optional(), content: z.boolean().optional() }),
  runs: route('GET', '/v1/runs', {}),
  /** Begins a run on the server of `ocm serve`: tasks as the library takes them, and what a resume needs of the command line. */
  startRun: route('POST', '/v1/runs', {
    tasks: z.array(z.record(z.string(), z.unknown())).min(1),
    /** Where they came from: an absolute path, `-` for standard input, null for prompts. */
    source: z.string().nullable(),
    title: z.string(),
    base_directory: text,
    directory: text,
    argv: z.array(z.string()),
    flags: z.record(z.string(), z.unknown()),
  }),
  run: route('GET', '/v1/runs/{run}', { run }),
  pauseRun: route('POST', '/v1/runs/{run}/pause', { run }),
  resumeRun: route('POST', '/v1/runs/{run}/resume', { run }),
  /** What runs is aborted; with `drain` it comes to its end. */
  cancelRun: route('POST', '/v1/runs/{run}/cancel', { run, drain: z.boolean().optional() }),
  configureRun: route('PATCH', '/v1/runs/{run}/config', {
    run,
    concurrency: z.int().min(1).max(1000).optional(),
    timeout_ms: z.int().min(1).optional(),
    /** null takes the limit away. */
    tokens: z.int().min(1).nullable().optional(),
    usd: z.number().positive().nullable().optional(),
    /** Aborts the newest attempts above a lower concurrency, and all when a limit of `tokens` or `usd` is below what is spent. */
    enforce: z.boolean().optional(),
  }),
  providers: route('GET', '/v1/runs/{run}/providers', { run }),
  pauseProviders: route('POST', '/v1/runs/{run}/providers/pause', { run, providers: keys }),
  resumeProviders: route('POST', '/v1/runs/{run}/providers/resume', { run, providers: keys }),
  runTasks: route('GET', '/v1/runs/{run}/tasks', { run, key: list.optional(), state: list.optional() }),
  cancelTasks: route('POST', '/v1/runs/{run}/tasks/cancel', { run, keys }),
  requeueTasks: route('POST', '/v1/runs/{run}/tasks/requeue', { run, keys, force: z.boolean().optional() }),
  /** Streams rows of the journal after the number `since`; with `follow` also those that come, until the run has ended. */
  runEvents: route('GET', '/v1/runs/{run}/events', { run, key: list.optional(), since: count.optional(), follow: flag.optional() }),
} as const satisfies Record<string, Route>;

type Routes = typeof routes;

export type Method = keyof Routes;

/** What a client says. */
export type ParametersOf<Name extends Method> = z.input<Routes[Name]['parameters']>;

/** What a handler is given. */
export type GivenTo<Name extends Method> = z.output<Routes[Name]['parameters']>;

/** A request as it goes over the wire. */
export interface WireRequest {
  readonly verb: Route['verb'];
  /** With its query. */
  readonly path: string;
  readonly body: string | null;
}

/** Puts the parameters of a call where its route has them. */
export function requestOf<Name extends Method>(method: Name, parameters: ParametersOf<Name>): WireRequest {
  const { verb, path } = routes[method];
  const rest = new Map(Object.entries(parameters).filter(([, value]) => value !== undefined));
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = String(rest.get(name));
    rest.delete(name);
    return encodeURIComponent(value);
  });
  if (verb !== 'GET') return { verb, path: filled, body: JSON.stringify(Object.fromEntries(rest)) };
  const query = new URLSearchParams();
  for (const [name, value] of rest) for (const one of [value].flat()) query.append(name, String(one));
  return { verb, path: query.size === 0 ? filled : `${filled}?${query.toString()}`, body: null };
}

export type Found =
  | { readonly kind: 'method'; readonly method: Method; readonly inPath: Readonly<Record<string, string>> }
  | { readonly kind: 'unknown' };

/** The method that a verb and a path mean. Linear in the routes, of which there are few. */
export function findRoute(verb: string, path: string): Found {
  const segments = path.split('/');
  for (const method of Object.keys(routes) as Method[]) {
    const inPath = routes[method].verb === verb ? matchPath(routes[method].path.split('/'), segments) : undefined;
    if (inPath) return { kind: 'method', method, inPath };
  }
  return { kind: 'unknown' };
}

function matchPath(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const found: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index]!;
    if (part.startsWith('{')) {
      const value = decoded(segment);
      if (value === undefined) return undefined;
      found[part.slice(1, -1)] = value;
    } else if (part !== segment) return undefined;
  }
  return found;
}

/** Undefined for what is no percent-encoding. */
function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

/** The values of a query: a name that comes twice is a list. */
export function queryOf(parameters: URLSearchParams): Record<string, string | string[]> {
  return Object.fromEntries(
    [...new Set(parameters.keys())].map((name) => {
      const values = parameters.getAll(name);
      return [name, values.length === 1 ? values[0]! : values];
    }),
  );
}

export type Parsed<Name extends Method> =
  | { readonly ok: true; readonly parameters: GivenTo<Name> }
  | { readonly ok: false; readonly problem: string };

/** Reads what a client said. */
export function parseParameters<Name extends Method>(method: Name, given: unknown): Parsed<Name> {
  const read = routes[method].parameters.safeParse(given);
  if (read.success) return { ok: true, parameters: read.data as GivenTo<Name> };
  const problem = read.error.issues.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': ')).join('; ');
  return { ok: false, problem };
}
