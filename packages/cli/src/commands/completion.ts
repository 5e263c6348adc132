import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { complete } from '../completion/complete.ts';
import { completionScripts, type Shell } from '../completion/scripts.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { oneLine } from '../render/printable.ts';
import type { Terminal } from '../terminal/index.ts';

/** `ocm completion SHELL`: the script that makes a shell ask `ocm complete`. */
export function completion(terminal: Terminal, shell: Shell): ExitCode {
  terminal.result(completionScripts[shell]);
  return exitCodes.ok;
}

/** `ocm complete -- WORDS`: a line for each word that may come, and at the end what the shell does besides. */
export async function completeWords(terminal: Terminal, program: CommandUnknownOpts, words: readonly string[]): Promise<ExitCode> {
  const { candidates, directive } = await complete(program, words);
  // A key may hold anything; a shell takes one without white space and control characters.
  for (const { value, description } of candidates)
    if (/^[^\s\p{C}]+$/u.test(value)) terminal.result(`${value}\t${oneLine(description, 80)}`);
  terminal.result(`:${directive}`);
  return exitCodes.ok;
}
