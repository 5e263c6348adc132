import { byNearness, didYouMean, OpencodeManagerError } from '../errors/index.ts';
import type { CallOptions } from '../http/index.ts';
import type { MessageWithParts } from '../protocol/index.ts';
import type { Catalogue } from '../server/types.ts';
import { chosenFor } from '../turn/index.ts';
import type { SessionOperations, TurnOptions } from './types.ts';

/** @throws the given code, listing what there is */
function assertIn(
  code: 'MODEL_UNKNOWN' | 'AGENT_UNKNOWN' | 'COMMAND_UNKNOWN',
  field: string,
  value: string | undefined,
  known: readonly string[],
  unused: Readonly<Record<string, string>> = {},
  by?: string,
): void {
  if (value === undefined || known.includes(value)) return;
  const listed = byNearness(value, known).slice(0, 20).join(', ') || 'none';
  const more = known.length > 20 ? `, and ${known.length - 20} more` : '';
  throw new OpencodeManagerError(
    code,
    `${field}${by === undefined ? '' : ` of ${by}`}: ${value} is unknown. ${didYouMean(value, known)}Known: ${listed}${more}.${unusedHint(unused[value])} Nothing was sent.`,
    {
      details: { field, value },
    },
  );
}

/** Says that a file of the workspace would define a name, if the workspace's own configuration counted. */
function unusedHint(file: string | undefined): string {
  return file === undefined ? '' : ` ${file} is not used: set projectConfig to 'all' (--project-config all) when you trust this workspace.`;
}

/** opencode accepts a turn with an unknown model or agent and fails it later; of a command it tells no reason. @throws `MODEL_UNKNOWN`, `AGENT_UNKNOWN`, `COMMAND_UNKNOWN` */
export function assertKnown(
  known: Catalogue,
  { model, agent, command }: Pick<TurnOptions, 'model' | 'agent'> & { readonly command?: string | undefined },
): void {
  assertIn('MODEL_UNKNOWN', 'model', model, known.models);
  assertIn('AGENT_UNKNOWN', 'agent', agent, known.agents, known.unused?.agents);
  assertIn('COMMAND_UNKNOWN', 'command', command, known.commands, known.unused?.commands);
  const chosen = chosenFor(known.choices, { model, agent, command });
  if (chosen.agent) assertIn('AGENT_UNKNOWN', 'agent', chosen.agent.value, known.agents, known.unused?.agents, chosen.agent.by);
  if (chosen.model) assertIn('MODEL_UNKNOWN', 'model', chosen.model.value, known.models, {}, chosen.model.by);
}

/** @throws `CONFIG_INVALID` */
export function assertEmptyAnswer(value: unknown): void {
  if (value === undefined || value === 'allow' || value === 'refuse') return;
  throw new OpencodeManagerError('CONFIG_INVALID', `emptyAnswer: must be 'allow' or 'refuse'; received ${JSON.stringify(value)}.`, {
    details: { field: 'emptyAnswer' },
  });
}

/** @throws `SNAPSHOTS_OFF` */
export function assertSnapshots(snapshots: boolean): void {
  if (snapshots) return;
  throw new OpencodeManagerError(
    'SNAPSHOTS_OFF',
    "This server runs without snapshots, so opencode would answer and do nothing. Launch it with profile 'interactive'.",
  );
}

/** The root of the worktree. @throws `REVERT_OUTSIDE_GIT` */
export function assertInsideGit(directory: string, root: string | undefined): string {
  if (root !== undefined) return root;
  throw new OpencodeManagerError(
    'REVERT_OUTSIDE_GIT',
    `directory: ${directory} is not in a git repository, so opencode would restore no files. Nothing was changed.`,
    { details: { directory } },
  );
}

/** The messages of the session. @throws `MESSAGE_UNKNOWN` */
export async function assertMessage(
  operations: SessionOperations,
  messageId: string,
  options: CallOptions | undefined,
): Promise<readonly MessageWithParts[]> {
  const messages = await operations.messages({}, options);
  if (messages.some(({ info }) => info.id === messageId)) return messages;
  throw unknownMessage(operations.id, messageId);
}

export function unknownMessage(sessionId: string, messageId: string): OpencodeManagerError {
  return new OpencodeManagerError('MESSAGE_UNKNOWN', `Session ${sessionId} has no message ${messageId}. Take an id from messages().`, {
    details: { sessionId, messageId },
  });
}
