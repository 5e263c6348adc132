import { OpencodeManagerError } from '../errors/index.ts';
import { fileUrlProblem, type PromptPart } from '../protocol/index.ts';

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
