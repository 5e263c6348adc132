import { OpencodeManagerError } from '../errors/index.ts';
import { carryShellLine, fileUrlProblem, requests, type RequestSpec, type WireModel } from '../protocol/index.ts';
import type { ExitCodes } from './exit-codes.ts';
import type { PromptPart, TurnRequest } from './types.ts';

/** Largest text of one prompt, in characters. opencode has taken 16 MB; more is a mistake in the caller. */
const promptLimit = 10_000_000;

/** The parts of a prompt. @throws `PROMPT_INVALID` for one that is empty, too large or holds NUL, and for a file whose URL cannot be read */
export function promptParts(prompt: string | readonly PromptPart[]): readonly PromptPart[] {
  const parts: readonly PromptPart[] = typeof prompt === 'string' ? [{ type: 'text', text: prompt }] : prompt;
  if (parts.length === 0) throw invalid('prompt', 'has no parts');
  for (const part of parts) {
    if (part.type === 'text') assertText('prompt', part.text);
    const problem = part.type === 'file' ? fileUrlProblem(part.url) : undefined;
    if (problem !== undefined) throw invalid('file', `${excerptOf(part)} cannot be read: ${problem}`);
  }
  return parts;
}

/** The URL of a file for a message; one that holds its data may be long. */
function excerptOf(part: PromptPart): string {
  const url = part.type === 'file' ? part.url : '';
  return url.length > 80 ? `${url.slice(0, 80)}...` : url;
}

/** @throws `PROMPT_INVALID` */
export function assertText(what: string, text: string): void {
  if (text.trim() === '') throw invalid(what, 'is empty');
  if (text.includes('\0')) throw invalid(what, `holds a NUL byte at character ${text.indexOf('\0')}`);
  if (text.length > promptLimit) throw invalid(what, `has ${text.length} characters; the limit is ${promptLimit}`);
}

function invalid(what: string, why: string): OpencodeManagerError {
  return new OpencodeManagerError('PROMPT_INVALID', `The ${what} ${why}. Nothing was sent.`, { details: { field: what } });
}

/** `provider/model` as the wire wants it; the model's own name may hold slashes. @throws `MODEL_UNKNOWN` */
export function wireModel(model: string): WireModel {
  const slash = typeof model === 'string' ? model.indexOf('/') : -1;
  if (slash > 0 && slash < model.length - 1) return { providerID: model.slice(0, slash), modelID: model.slice(slash + 1) };
  throw new OpencodeManagerError('MODEL_UNKNOWN', `model: ${model} is not of the form provider/model. Nothing was sent.`, {
    details: { model },
  });
}

/** The request that starts a turn. */
export function turnRequest(id: string, directory: string, turn: TurnRequest, exitCodes: ExitCodes): RequestSpec {
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
    command: carryShellLine(turn.command, exitCodes.fileOf(messageID)),
    agent: agent ?? 'build',
    ...(model !== undefined && { model: wireModel(model) }),
  });
}
