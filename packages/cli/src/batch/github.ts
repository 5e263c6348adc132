import { randomUUID } from 'node:crypto';
import type { TaskResult } from '@opencode-manager/actors';
import { formatDuration, oneLine, printable } from '../render/index.ts';
import type { Terminal } from '../terminal/index.ts';
import { reasonOf } from './reason.ts';

/** A line that the runner of GitHub Actions takes for an error of this task. */
export function errorCommand(title: string, message: string): string {
  return `::error title=${property(printable(title))}::${data(printable(message))}`;
}

/**
 * The lines of one result: a group that folds, and an error beside it. What an agent says is no command: while it is printed, commands are
 * off until a word comes that it cannot know.
 */
export function resultCommands(result: TaskResult, token: string = randomUUID()): string[] {
  const { id, outcome, duration_ms: durationMs } = result;
  const output = printable(result.output).trimEnd();
  const title = data(oneLine(`${id}  ${outcome}  ${formatDuration(durationMs)}`, 200));
  const said = output === '' ? [] : [`::stop-commands::${token}`, output, `::${token}::`];
  return [`::group::${title}`, ...said, '::endgroup::', ...(outcome === 'succeeded' ? [] : [errorCommand(id, reasonOf(result))])];
}

/** A terminal whose notices hold no command: the runner reads standard error too, and they repeat what agents and providers say. */
export function noticesWithoutCommands(terminal: Terminal): Terminal {
  // Its comparison overlooks characters without a width, such as a soft hyphen.
  const plain = (text: string) =>
    text
      .replaceAll(/\p{Cf}/gu, '')
      .replaceAll('##[', '# #[')
      .replaceAll(/^(\s*):(?=:)/gm, '$1: ');
  return Object.create(terminal, {
    notice: { value: (line: string) => terminal.notice(plain(line)) },
    draw: { value: (text: string) => terminal.draw(plain(text)) },
  }) as Terminal;
}

function data(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function property(text: string): string {
  return data(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
