import type { TurnResult } from '@opencode-manager/core';

/** What a turn of core's own `Session` came to: the answer, or for a shell line what it printed. */
export function outputOf({ text, messages }: TurnResult): string {
  if (text !== '') return text;
  const outputs = messages
    .flatMap(({ parts }) => parts)
    .map((part) => (part.type === 'tool' && part.status === 'completed' ? part.output : ''));
  return outputs.join('');
}
