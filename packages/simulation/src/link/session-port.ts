import type { MessageHistory } from '@opencode-manager/core/protocol';
import type { LedgerRequest } from '../opencode/ledger.ts';
import type { Process } from '../opencode/process.ts';
import type { StoredSession } from '../opencode/storage.ts';
import type { Surroundings } from '../opencode/surroundings.ts';
import type { TurnScript } from '../plan/types.ts';
import type { PortCall, SessionPort, TurnRequest } from '../ports.ts';
import type { ActivityMemory } from './activity.ts';
import type { Requests } from './requests.ts';

export interface SessionLink {
  readonly world: Surroundings;
  readonly requests: Requests;
  readonly process: Process;
  readonly activity: ActivityMemory;
}

/** How long an abort is waited for, and the wait between two looks, in milliseconds; as core's `Session.abort` has it. */
const settleMs = 5000;
const lookMs = 100;

/** One session of a simulated server, as the pool's hosts see it. */
export function createSessionPort(link: SessionLink, id: string, directory: string): SessionPort {
  const { world, requests, process, activity } = link;
  const find = (): StoredSession => {
    const session = world.storage.find(id);
    if (!session) throw world.error('NOT_FOUND', `Session not found: ${id}`);
    return session;
  };
  const call = <Answer>(what: string, look: (session: StoredSession) => Answer, options?: PortCall) =>
    requests.send<Answer>(process, `${id} ${what}`, (answer) => answer(look(find())), options);
  return {
    id,
    directory,
    submit: (request, options) => submit(link, find, { id, request }, options),
    abort() {
      world.ledger.abortsSent.push({ sessionId: id, atMs: world.queue.nowMs });
      world.tell('manager', `aborts ${id}`);
      // Of a session that is idle or unknown it does nothing, and is answered all the same (A5).
      const end = (answer: () => void) => {
        world.hit('abort');
        activity.forget(id);
        process.turnOf(id)?.endSession();
        answer();
      };
      return requests.send<void>(process, `${id} abort`, end);
    },
    history: (options) =>
      call<MessageHistory[]>(
        'history',
        (session) => {
          activity.sawHistory(session);
          return world.storage.history(session);
        },
        options,
      ),
    children: (options) => call('children', () => world.storage.childrenOf(id).map((child) => ({ id: child.id, directory })), options),
    async fork(messageId, options) {
      const fork = await call('fork', (session) => copyOf(world, session, messageId), options);
      return createSessionPort(link, fork, directory);
    },
    revert: (messageId, options) => call('revert', (session) => revert(link, session, messageId), options),
    settle: (options) => settle(link, id, options),
    async delete(options) {
      if (!world.storage.find(id)) return;
      await settle(link, id, options);
      await call('delete', (session) => process.delete(session), options);
    },
    exists: (options) => call('exists', () => true, options).catch(() => false),
  };
}

function submit(
  { world, requests, process }: SessionLink,
  find: () => StoredSession,
  { id, request }: { id: string; request: TurnRequest },
  options: PortCall = {},
): Promise<void> {
  const { messageId, model = 'alpha/one' } = request;
  const { task, script, goesOn, corrects } = read(world, request, id);
  const provider = model.split('/')[0]!;
  const sent: LedgerRequest = { task, messageId, sessionId: id, atMs: world.queue.nowMs, goesOn, corrects, provider };
  world.ledger.sent.push(sent);
  world.tell('manager', `sends ${messageId} (${task}) to ${id}`);
  const untilEnd = request.kind === 'prompt' ? {} : { timeoutMs: Infinity };
  const { kind } = request;
  const isAnsweredAtOnce = kind === 'prompt' || (kind === 'command' && world.behaviour.namesCommands);
  const send = () =>
    requests.send<void>(
      process,
      `${id} submit`,
      (answer) => {
        process.prompt(find(), { messageId, task, script, provider, kind, ...(!isAnsweredAtOnce && { onEnd: () => answer() }) });
        if (isAnsweredAtOnce) answer();
      },
      { ...untilEnd, ...options },
    );
  return repeated(world, request, send).catch((error: unknown) => {
    sent.failure = { code: (error as { code: string }).code, atMs: world.queue.nowMs };
    throw error;
  });
}

/** A prompt of 2.x whose answer did not come is sent once more: it has an id, and is taken once. */
function repeated({ behaviour, count }: Surroundings, { kind }: TurnRequest, send: () => Promise<void>): Promise<void> {
  if (kind !== 'prompt' || !behaviour.takesPromptsOnce) return send();
  return send().catch((error: unknown) => {
    if ((error as { code?: string }).code !== 'REQUEST_TIMEOUT') throw error;
    count('prompt-repeated');
    return send();
  });
}

/** What a prompt of this world says: which task it is of, and which script its model follows. */
function read(
  { scriptOf, ledger }: Surroundings,
  request: TurnRequest,
  id: string,
): { readonly task: string; readonly script: TurnScript; readonly goesOn: boolean; readonly corrects: boolean } {
  const said = request.kind === 'prompt' ? textOf(request.parts[0]) : request.kind === 'shell' ? request.command : request.arguments;
  // A session that goes on is not told its task again.
  const goesOn = said === 'Continue.';
  // A correction of an answer names no task either.
  const begun = said.startsWith('Your last answer') && ledger.sent.find((one) => one.sessionId === id);
  const text = begun
    ? `${begun.task} again`
    : goesOn
      ? `${ledger.sent.findLast(({ sessionId }) => sessionId === id)?.task ?? ''} goes on`
      : said;
  const [task = ''] = text.split(' ');
  const script = scriptOf(text);
  return {
    task,
    script: request.kind === 'shell' ? shellScript(script, text) : script,
    goesOn,
    corrects: begun !== false && begun !== undefined,
  };
}

/** A shell line asks no model: one tool, and no finish reason. */
function shellScript({ beginMs, steps, neverBegins, idle }: TurnScript, line: string): TurnScript {
  const { thinkMs = 10, hangs = false } = steps[0] ?? {};
  const tool = { tool: 'bash', input: line, output: `printed by ${line}`, forMs: thinkMs, ...(hangs && { hangs }) };
  const step = { thinkMs: 1, text: [], tools: [tool], finish: null };
  return { beginMs, steps: [step], ...(neverBegins && { neverBegins }), ...(idle && { idle }) };
}

function textOf(part: Extract<TurnRequest, { kind: 'prompt' }>['parts'][number] | undefined): string {
  return part?.type === 'text' ? part.text : '';
}

function copyOf(world: Surroundings, session: StoredSession, messageId: string | undefined): string {
  const copy = world.storage.create(session.directory);
  copy.messages.push(...session.messages.filter(({ message }) => messageId === undefined || message.id < messageId));
  return copy.id;
}

function revert({ world, process }: SessionLink, session: StoredSession, messageId: string): void {
  if (process.isBusy(session.id)) throw world.error('SESSION_BUSY', `Session is busy: ${session.id}`);
  const from = session.messages.findIndex(({ message }) => message.id >= messageId);
  if (from !== -1) session.messages.splice(from);
}

/** Aborts and looks until the session is idle. */
async function settle({ world, requests, process }: SessionLink, id: string, options: PortCall = {}): Promise<void> {
  const { queue } = world;
  const untilMs = queue.nowMs + settleMs;
  world.ledger.abortsSent.push({ sessionId: id, atMs: queue.nowMs });
  await requests.send<void>(
    process,
    `${id} abort`,
    (answer) => {
      process.turnOf(id)?.endSession();
      answer();
    },
    options,
  );
  while (await requests.send<boolean>(process, `${id} status`, (answer) => answer(process.isBusy(id)), options)) {
    if (queue.nowMs > untilMs) throw world.error('ABORT_UNCONFIRMED', `Session ${id} did not become idle after an abort.`);
    await new Promise<void>((resolve) => void queue.after(lookMs, `${id} looks again`, resolve));
  }
}
