import type { TurnRequest } from '@opencode-manager/core';
import { OpencodeManagerError, type ErrorCode } from '@opencode-manager/core/errors';
import type { ServerPort } from '../ports/index.ts';

/**
 * Checks what a turn names against what the directory's configuration offers: opencode accepts a turn with an unknown
 * model and fails it later. @throws `MODEL_UNKNOWN`, `AGENT_UNKNOWN`, `COMMAND_UNKNOWN`
 */
export async function assertOffered(server: ServerPort, directory: string, turn: TurnRequest, signal: AbortSignal): Promise<void> {
  const { model, agent } = turn;
  if (model === undefined && agent === undefined && turn.kind !== 'command') return;
  const { models, agents, commands } = await server.catalogue(directory, { signal });
  assertIn('MODEL_UNKNOWN', 'model', model, models);
  assertIn('AGENT_UNKNOWN', 'agent', agent, agents);
  if (turn.kind === 'command') assertIn('COMMAND_UNKNOWN', 'command', turn.name, commands);
}

function assertIn(code: ErrorCode, field: string, value: string | undefined, known: readonly string[]): void {
  if (value === undefined || known.includes(value)) return;
  const listed = known.slice(0, 20).join(', ') || 'none';
  const more = known.length > 20 ? `, and ${known.length - 20} more` : '';
  throw new OpencodeManagerError(code, `${field}: ${value} is unknown. Known: ${listed}${more}. Nothing was sent.`, {
    details: { field, value },
  });
}
