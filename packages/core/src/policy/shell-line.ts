import { gitHazards } from './git-hazards.ts';
import { matchesWhere } from './wildcard.ts';

/** Redirections, separators and backticks: with them a command does more than its first words say. */
const operators = new Set('<>|;&`\n\r');

/**
 * Whether an `allow` rule's pattern matches a shell line. A pattern that is the line itself always does. Else `*` covers no
 * redirection, separator or substitution, quoted or not, and in a git command no word that makes git write a file or run a
 * program. Text that stands in the pattern itself is not looked at. A lone `*` means any line.
 *
 * This is no sandbox: it reads words, knows no program but git, and sees only what opencode asks for.
 */
export function matchesShellLine(pattern: string, line: string): boolean {
  if (pattern === '*' || pattern === line) return true;
  const barred = new Uint8Array(line.length);
  for (let index = 0; index < line.length; index += 1) if (isOperator(line, index)) barred[index] = 1;
  for (const { from, to } of gitHazards(line)) barred.fill(1, from, to);
  return matchesWhere(pattern, line, (index) => barred[index] === 0);
}

function isOperator(line: string, index: number): boolean {
  const character = line[index]!;
  if (operators.has(character)) return true;
  // `$(`, whichever of the two stands in the pattern.
  return character === '$' ? line[index + 1] === '(' : character === '(' && line[index - 1] === '$';
}
