import { isManagerError } from '../../errors/error.ts';
import type { CallOptions, HttpClient } from '../../http/index.ts';
import type { DirectorySnapshot, PermissionRequest, QuestionRequest, SessionStatus } from '../sessions.ts';
import { requests } from './requests.ts';
import { decodePermission, decodeQuestion, decodeStatus } from './shapes.ts';

/** Three requests, each true at a time of its own: between two of them a turn may begin or a permission request may open. */
export async function readSnapshot(client: HttpClient, directory: string): Promise<DirectorySnapshot> {
  const startedAtMs = Date.now();
  const [status, permissions, questions] = await Promise.all([
    timed(() => readStatus(client, directory)),
    timed(() => readPermissions(client, directory)),
    timed(() => readQuestions(client, directory)),
  ]);
  return {
    startedAtMs,
    sentAtMs: { status: status.sentAtMs, permissions: permissions.sentAtMs, questions: questions.sentAtMs },
    status: status.answer,
    ...permissions.answer,
    questions: questions.answer,
  };
}

async function timed<Answer>(send: () => Promise<Answer>): Promise<{ readonly sentAtMs: number; readonly answer: Answer }> {
  const sentAtMs = Date.now();
  return { sentAtMs, answer: await send() };
}

/** Sessions that are not idle. */
export async function readStatus(
  client: HttpClient,
  directory: string,
  options?: CallOptions,
): Promise<Readonly<Record<string, SessionStatus>>> {
  const statuses = await client.call(requests.status(directory), options);
  return Object.fromEntries(Object.entries(statuses).map(([id, status]) => [id, decodeStatus(status)]));
}

/**
 * opencode 1.18 answers 400 for the whole directory while one request holds a field that is undefined. A plugin of ours takes such
 * fields out when the request is told; until then, and for what it does not see, the sessions of the directory must not fail for it.
 */
async function readPermissions(
  client: HttpClient,
  directory: string,
): Promise<{ readonly permissions: readonly PermissionRequest[]; readonly permissionsUnreadable?: string }> {
  try {
    const requested = await client.call(requests.permissions(directory));
    return { permissions: requested.map((request) => decodePermission(request, directory)) };
  } catch (error) {
    if (!isManagerError(error, 'BAD_REQUEST')) throw error;
    return { permissions: [], permissionsUnreadable: error.message };
  }
}

async function readQuestions(client: HttpClient, directory: string): Promise<readonly QuestionRequest[]> {
  return (await client.call(requests.questions(directory))).map((request) => decodeQuestion(request, directory));
}
