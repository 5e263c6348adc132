import { judgeFinish, type FinishFacts, type FinishVerdict } from './finish.ts';

const reasons = ['stop', 'length', 'content-filter', 'error', 'tool-calls', undefined, 'unknown', 'other'] as const;
const answers = [
  { says: 'text', hasText: true, hasToolResult: false },
  { says: 'text, after a tool result', hasText: true, hasToolResult: true },
  { says: 'nothing', hasText: false, hasToolResult: false },
  { says: 'nothing, after a tool result', hasText: false, hasToolResult: true },
] as const;

/** The text of `docs/outcomes.md`. */
export function outcomesDocument(): string {
  const rows = reasons.flatMap((finish) =>
    answers.map(({ says, ...answer }) => {
      const judge = (emptyAnswer: FinishFacts['emptyAnswer']) => cellOf(judgeFinish({ finish, ...answer, kind: 'prompt', emptyAnswer }));
      return `| ${finish === undefined ? 'none' : `\`${finish}\``} | ${says} | ${judge('refuse')} | ${judge('allow')} |`;
    }),
  );
  return `# What a finish reason means

A turn that ended without an error is judged by the finish reason of its final assistant message and by whether that message has
text. Other reasons than these are judged like \`other\`. An error of the message counts before this table. A shell line asks no model and has no
reason: it succeeded when its exit code is 0, and failed otherwise (\`SHELL_FAILED\`).

\`emptyAnswer: 'allow'\` is for work whose result is in files: an answer without text is good then.

This page is generated from \`packages/core/src/turn/finish.ts\`; \`pnpm --filter @opencode-manager/core run generate\` writes it anew.

| finish | the final message has | outcome | with \`emptyAnswer: 'allow'\` |
|---|---|---|---|
${rows.join('\n')}
`;
}

function cellOf({ outcome, code, note }: FinishVerdict): string {
  if (code !== undefined) return `${outcome}, \`${code}\``;
  return note === undefined ? outcome : `${outcome}, with a note`;
}
