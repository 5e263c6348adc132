import type { Part } from '@opencode-ai/sdk/v2/types';
import type { LeftFiles } from '../calls.ts';
import type { WireMessageWithParts } from './shapes.ts';

// opencode tells no exit code of a shell line, and evaluates the line in a way that breaks line ends and `$?`. A command substitution comes
// through whole, so the line travels in one, inside of a script that writes its exit code to a file.

const carried = /^\$\(printf %s ([\w+/=]+) \| base64 -d\)$/;
const script = /^\( ([\s\S]*)\n\); ocm_rc=\$\?; printf %s "\$ocm_rc" > '[^\n]*\/exit-(msg_\w+)'$/;

/** Name of the file that holds the exit code of a shell turn. */
export function exitCodeFile(messageId: string): string {
  return `exit-${messageId}`;
}

/** The line that opencode is given for a user's line. `file` ends with {@link exitCodeFile} of the turn. */
export function carryShellLine(line: string, file: string): string {
  const text = `( ${line}\n); ocm_rc=$?; printf %s "$ocm_rc" > '${file.replaceAll("'", String.raw`'\''`)}'`;
  return `$(printf %s ${toBase64(text)} | base64 -d)`;
}

/** The user's own line, and the turn whose exit code it writes; undefined for a line that does not carry one. */
export function carriedShellLine(command: string): { readonly line: string; readonly messageId: string } | undefined {
  const encoded = carried.exec(command)?.[1];
  const [, line, messageId] = (encoded !== undefined && script.exec(fromBase64(encoded))) || [];
  return line === undefined || messageId === undefined ? undefined : { line, messageId };
}

/** A part with the user's own line in the place of the one that carries it. */
export function withUsersLine(part: Part): Part {
  const found = lineOf(part);
  return found ? withLine(part, found.line) : part;
}

/**
 * Messages with the users' own lines, and with exit codes where opencode's bash tool has its own (`state.metadata.exit`): null for a line
 * that ended and left none.
 */
export async function withExitCodes(
  messages: readonly WireMessageWithParts[],
  readCode: (messageId: string) => Promise<number | null>,
): Promise<readonly WireMessageWithParts[]> {
  if (!messages.some(({ parts }) => parts.some(lineOf))) return messages;
  return Promise.all(messages.map(async ({ info, parts }) => ({ info, parts: await Promise.all(parts.map(withCode)) })));

  async function withCode(part: Part): Promise<Part> {
    const found = lineOf(part);
    if (!found) return part;
    const own = withLine(part, found.line);
    if (own.type !== 'tool' || (own.state.status !== 'completed' && own.state.status !== 'error')) return own;
    const metadata = { ...own.state.metadata, exit: await readCode(found.messageId) };
    return { ...own, state: { ...own.state, metadata } };
  }
}

/** The exit code that a shell turn left; null when it left none: its syntax was wrong, or its shell was killed. */
export async function readExitCode(files: LeftFiles, messageId: string): Promise<number | null> {
  const text = await files.read(exitCodeFile(messageId));
  return /^\d{1,3}$/.test(text) ? Number(text) : null;
}

function lineOf(part: Part): ReturnType<typeof carriedShellLine> {
  const command = part.type === 'tool' ? part.state.input['command'] : undefined;
  return typeof command === 'string' ? carriedShellLine(command) : undefined;
}

function withLine(part: Part, line: string): Part {
  if (part.type !== 'tool') return part;
  return { ...part, state: { ...part.state, input: { ...part.state.input, command: line } } };
}

function toBase64(text: string): string {
  let bytes = '';
  for (const byte of new TextEncoder().encode(text)) bytes += String.fromCharCode(byte);
  return btoa(bytes);
}

function fromBase64(encoded: string): string {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(encoded), (character) => character.codePointAt(0)!));
  } catch {
    return '';
  }
}
