import { requests } from './requests.ts';

/** Every request that is made, with names in the places of ids. */
function allRequests(): readonly { readonly method: string; readonly path: string }[] {
  const id = ':id';
  return [
    requests.info(),
    requests.events(),
    requests.config(''),
    requests.providers(''),
    requests.models(''),
    requests.agents(''),
    requests.commands(''),
    requests.mcp(''),
    requests.plugins(''),
    requests.location(''),
    requests.createSession({ location: { directory: '' } }),
    requests.sessions({ limit: 1 }),
    requests.active(),
    requests.session(id),
    requests.updateSession(id, {}),
    requests.deleteSession(id),
    requests.messages(id, { limit: 1 }),
    requests.message(id, id),
    requests.diff(id, id),
    requests.prompt(id, { id, text: '' }),
    requests.command(id, { name: '', text: '' }),
    requests.shell(id, { id, command: '' }),
    requests.switchModel(id, { id: '', providerID: '' }),
    requests.switchAgent(id, ''),
    requests.environment(id, {}),
    requests.interrupt(id),
    requests.inbox(id),
    requests.removeFromInbox(id, id),
    requests.fork(id, undefined),
    requests.stageRevert(id, id),
    requests.clearRevert(id),
    requests.compact(id),
    requests.permissions(''),
    requests.replyPermission(id, id, { decision: 'once' }),
    requests.forms(''),
    requests.form(id, id),
    requests.replyForm(id, id, {}),
    requests.cancelForm(id, id),
    requests.shells(''),
    requests.endShell(id, ''),
  ];
}

/** The operations of ours (`POST /api/session/{id}/prompt`) that a server does not describe. Instructions are not among them: a prompt can carry them. */
export function operationsUsed(document: unknown): readonly string[] {
  const { paths = {} } = (document ?? {}) as { readonly paths?: Readonly<Record<string, Readonly<Record<string, unknown>>>> };
  const described = new Set(
    Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => operation(method, path))),
  );
  const used = allRequests().map(({ method, path }) => operation(method, path));
  return [...new Set(used)].filter((one) => !described.has(one)).toSorted();
}

/** What stands in the place of an id does not count. */
function operation(method: string, path: string): string {
  const general = decodeURIComponent(path).replaceAll(/\{[^}]*\}|:id/g, '{id}');
  return `${method.toUpperCase()} ${general}`;
}
