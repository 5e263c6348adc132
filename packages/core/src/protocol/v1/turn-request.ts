import { OpencodeManagerError } from '../../errors/error.ts';
import type { TurnRequest } from '../calls.ts';
import type { RequestSpec } from '../request.ts';
import { requests, type WireModel } from './requests.ts';
import { carryShellLine } from './shell-line.ts';

/** `provider/model` as the wire wants it; the model's own name may hold slashes. @throws `MODEL_UNKNOWN` */
export function wireModel(model: string): WireModel {
  const slash = typeof model === 'string' ? model.indexOf('/') : -1;
  if (slash > 0 && slash < model.length - 1) return { providerID: model.slice(0, slash), modelID: model.slice(slash + 1) };
  throw new OpencodeManagerError('MODEL_UNKNOWN', `model: ${model} is not of the form provider/model. Nothing was sent.`, {
    details: { model },
  });
}

/** The request that starts a turn. */
export function turnRequest(id: string, directory: string, turn: TurnRequest, exitCodeFile: string | undefined): RequestSpec {
  const { messageId: messageID, agent, model } = turn;
  if (turn.kind === 'prompt') {
    return requests.promptAsync(id, directory, {
      messageID,
      parts: turn.parts,
      ...(model !== undefined && { model: wireModel(model) }),
      ...(agent !== undefined && { agent }),
      ...(turn.system !== undefined && turn.system !== '' && { system: turn.system }),
    });
  }
  if (turn.kind === 'command') {
    return requests.command(id, directory, {
      messageID,
      command: turn.name,
      arguments: turn.arguments,
      ...(model !== undefined && { model }),
      ...(agent !== undefined && { agent }),
    });
  }
  return requests.shell(id, directory, {
    messageID,
    command: exitCodeFile === undefined ? turn.command : carryShellLine(turn.command, exitCodeFile),
    agent: agent ?? 'build',
    ...(model !== undefined && { model: wireModel(model) }),
  });
}
