import type { TaskResult } from '@opencode-manager/actors';
import { OpencodeManagerError } from '@opencode-manager/core';
import type { PromptFlags } from '../flags.ts';
import type { ManagerClient, ParametersOf, TurnPiece } from '../manager-socket/index.ts';
import { printable } from '../render/index.ts';
import type { Terminal } from '../terminal/index.ts';

/** Sends a prompt and tells what the model says while it says it. Gives the result. */
export async function streamPrompt(
  terminal: Terminal,
  manager: ManagerClient,
  params: ParametersOf<'promptStream'>,
  { json = false, reasoning = true }: PromptFlags,
  signal: AbortSignal,
): Promise<TaskResult> {
  using printer = new PiecePrinter(terminal);
  for await (const item of manager.stream('promptStream', params, { signal })) {
    if (item.type === 'result') return item.result;
    if (item.type === 'reasoning' && !reasoning) continue;
    if (json) terminal.record(recordOf(params.session_id, item));
    else printer.print(item);
  }
  // A client that was told to end has closed the stream itself.
  throw new OpencodeManagerError('REQUEST_ABORTED', 'prompt: aborted.');
}

function recordOf(sessionId: string, { type, ...piece }: TurnPiece): object {
  return { type: `turn.${type}`, session_id: sessionId, ...piece };
}

/** The answer goes to standard output, what the model thinks to standard error; on one terminal each begins a line of its own. */
class PiecePrinter implements Disposable {
  readonly #terminal: Terminal;
  #last: TurnPiece | undefined;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  print(piece: TurnPiece): void {
    const isNew = this.#last === undefined || this.#last.type !== piece.type || this.#last.part_id !== piece.part_id;
    if (isNew) this.#endLine();
    const text = printable(piece.text);
    this.#write(piece.type, piece.type === 'text' ? text : this.#terminal.noticeColors.dim(text));
    this.#last = piece;
  }

  /** Whatever ended the stream: what comes next begins a line. */
  [Symbol.dispose](): void {
    this.#endLine();
    this.#last = undefined;
  }

  #endLine(): void {
    if (this.#last && !this.#last.text.endsWith('\n')) this.#write(this.#last.type, '\n');
  }

  #write(type: TurnPiece['type'], text: string): void {
    if (type === 'text') this.#terminal.stdout.write(text);
    else this.#terminal.draw(text);
  }
}
