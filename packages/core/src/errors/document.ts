import { errorCatalogue } from './codes.ts';

/** The text of `docs/errors.md`. */
export function errorDocument(): string {
  const rows = Object.entries(errorCatalogue).map(([code, { meaning, remedy }]) => `| \`${code}\` | ${meaning} | ${remedy} |`);
  return `# Errors

Every error is an \`OpencodeManagerError\` with one of these codes. Its message names what was wrong, what was received and
what to do next; errors about the server's process carry the tail of its output in \`output\`. \`toJSON()\` and
\`OpencodeManagerError.from()\` take an error through a thread, a socket or a file without losing its code or its cause.

This page is generated from \`packages/core/src/errors/codes.ts\`; \`pnpm --filter @opencode-manager/core run generate\` writes it anew.

| code | what it means | what to do |
|---|---|---|
${rows.join('\n')}
`;
}
